//! The server under test: a small hub, which keeps how its connections ended,
//! behind the check of `Origin` that the README asks applications to make.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::ORIGIN;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use signalr::{ConnectionId, Context, DisconnectReason, Groups, Hub, HubOptions, HubServer};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

type Ends = Arc<Mutex<HashMap<ConnectionId, DisconnectReason>>>;

/// A running server, ended when dropped.
pub(crate) struct Bench {
    pub(crate) address: SocketAddr,
    pub(crate) hub: HubServer,
    ends: Ends,
    serving: JoinHandle<std::io::Result<()>>,
}

struct Hole(Ends);

impl Hub for Hole {
    async fn on_disconnected(&self, context: &Context, reason: &DisconnectReason) {
        let mut ends = self.0.lock().unwrap();
        ends.insert(context.connection_id(), reason.clone());
    }
}

impl Bench {
    pub(crate) fn start(options: HubOptions) -> Self {
        let ends = Ends::default();
        let hub = HubServer::builder(Hole(Arc::clone(&ends)))
            .options(options)
            .method("Echo", async |text: String| text)
            .method("Make", async |length: usize| "x".repeat(length))
            .method("Join", join)
            .streaming_method("Forever", forever)
            .build()
            .unwrap();
        let router = Router::new()
            .layer(hub.layer("/hub"))
            .layer(from_fn(only_own_pages));
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        // Sockets that take little show soon who does not read.
        socket.set_send_buffer_size(16 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(4096).unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            hub,
            ends,
            serving: tokio::spawn(async move { axum::serve(listener, router).await }),
        }
    }

    /// How a connection ended; waits for it.
    pub(crate) async fn end_of(&self, id: ConnectionId) -> DisconnectReason {
        loop {
            if let Some(reason) = self.ends.lock().unwrap().get(&id) {
                return reason.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The most that waits for any client, in bytes.
    pub(crate) fn most_waiting(&self) -> usize {
        let connections = self.hub.connections();
        connections
            .iter()
            .map(|each| each.waiting_bytes)
            .max()
            .unwrap_or(0)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn join(context: Context, groups: Groups, group: String) {
    groups.add(context.connection_id(), &group).await;
}

async fn forever() -> impl Stream<Item = u32> + Send + 'static {
    stream::pending()
}

/// CORS does not cover WebSockets: a page of somebody else's must not connect
/// with its visitor's credentials.
async fn only_own_pages(request: Request, next: Next) -> Response {
    match request.headers().get(ORIGIN) {
        Some(origin) if origin != "https://garden.example" => StatusCode::FORBIDDEN.into_response(),
        _ => next.run(request).await,
    }
}
