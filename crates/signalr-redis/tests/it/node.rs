//! Nodes of one hub, each with a connection to Redis of its own.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
};
use private_services::Redis;
use signalr::{Context, Groups, Hub, HubError, HubServer, Principal};
use signalr_redis::{RedisBackplane, RedisLink, RedisOptions};

use crate::client::PATIENCE;

/// The name that the hub would have in .NET.
pub(crate) const HUB: &str = "Garden.Hubs.RoomHub";

struct Room;

impl Hub for Room {
    async fn on_connected(&self, context: &Context) -> Result<(), HubError> {
        let caller = context.clients().caller();
        caller.send("Welcome", (context.connection_id(),)).await;
        Ok(())
    }
}

async fn join(context: Context, groups: Groups, group: String) {
    groups.add(context.connection_id(), &group).await;
}

/// One node.
pub(crate) struct Node {
    pub(crate) hub: HubServer,
    pub(crate) link: RedisLink,
    pub(crate) address: SocketAddr,
}

impl Node {
    /// Starts and waits until it has Redis.
    pub(crate) async fn start(options: RedisOptions) -> Self {
        let link = RedisLink::open(options).unwrap();
        let hub = HubServer::builder(Room)
            .method("Join", join)
            .backplane(RedisBackplane::new(link.clone(), HUB))
            .build()
            .unwrap();
        let app = Router::new()
            .layer(hub.layer("/hub"))
            .layer(from_fn(identify));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        assert!(link.wait_until_up(PATIENCE).await, "{link:?}");
        Self { hub, link, address }
    }
}

/// `?user=` is who calls.
async fn identify(mut request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let user = query.split('&').find_map(|pair| pair.strip_prefix("user="));
    if let Some(user) = user.map(str::to_owned) {
        request.extensions_mut().insert(Principal::new(user));
    }
    next.run(request).await
}

/// A server at `url`, with channels that no other test has. It is not taken
/// for dead by the default time limits because the machine is busy.
pub(crate) fn options(url: &str) -> RedisOptions {
    static TESTS: AtomicU32 = AtomicU32::new(0);
    let test = TESTS.fetch_add(1, Ordering::Relaxed);
    let mut options: RedisOptions = url.parse().unwrap();
    options.channel_prefix = format!("test {test}:");
    options
}

/// Two nodes on the Redis that all tests share.
pub(crate) async fn two_nodes() -> (RedisOptions, Node, Node) {
    let options = options(&Redis::shared().await.url());
    let (a, b) = (
        Node::start(options.clone()).await,
        Node::start(options.clone()).await,
    );
    (options, a, b)
}
