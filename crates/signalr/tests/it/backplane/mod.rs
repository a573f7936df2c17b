//! Two hubs on one backplane, as their clients see them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bus;

mod sending;
mod asking;
mod faults;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
};
use signalr::{Context, DisconnectReason, Groups, Hub, HubError, HubOptions, HubServer, Principal};
use tokio::sync::mpsc;

use self::bus::{Bus, Station};
use crate::client::PATIENCE;

/// A hub that tells each client its id, and the test who left.
struct Room {
    left: mpsc::UnboundedSender<String>,
}

impl Hub for Room {
    async fn on_connected(&self, context: &Context) -> Result<(), HubError> {
        let caller = context.clients().caller();
        caller.send("Welcome", (context.connection_id(),)).await;
        Ok(())
    }

    async fn on_disconnected(&self, context: &Context, _: &DisconnectReason) {
        // A habit of many hubs, and none that may wait for another node.
        context
            .hub()
            .groups()
            .remove(context.connection_id(), "garden")
            .await;
        let user = context.user_id().map(|user| user.to_string());
        let _ = self.left.send(user.unwrap_or_default());
    }
}

async fn join(context: Context, groups: Groups, group: String) {
    groups.add(context.connection_id(), &group).await;
}

/// One node.
struct Node {
    hub: HubServer,
    address: SocketAddr,
    left: mpsc::UnboundedReceiver<String>,
}

impl Node {
    async fn start(bus: &Arc<Bus>, options: HubOptions) -> Self {
        let (left, receiver) = mpsc::unbounded_channel();
        let hub = HubServer::builder(Room { left })
            .method("Join", join)
            .options(options)
            .backplane(Station::new(bus))
            .build()
            .unwrap();
        let app = Router::new()
            .layer(hub.layer("/hub"))
            .layer(from_fn(identify));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            hub,
            address,
            left: receiver,
        }
    }

    /// Whose client went, once the hub knows it.
    async fn left(&mut self) -> String {
        let left = tokio::time::timeout(PATIENCE, self.left.recv());
        left.await.expect("a client leaves").unwrap()
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

/// Two nodes on a bus that works.
async fn two_nodes() -> (Arc<Bus>, Node, Node) {
    let bus = Arc::new(Bus::default());
    let a = Node::start(&bus, HubOptions::default()).await;
    let b = Node::start(&bus, HubOptions::default()).await;
    (bus, a, b)
}

/// Options for tests that wait for a time limit.
fn impatient() -> HubOptions {
    HubOptions {
        backplane_timeout: Duration::from_millis(50),
        remote_group_timeout: Duration::from_millis(50),
        remote_result_timeout: Duration::from_millis(500),
        ..HubOptions::default()
    }
}
