//! The server that the clients connect to: the conformance hub's paths, and
//! beside them [`Meadow`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use signalr::{HubOptions, HubServer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::meadow::{self, Meadow};
use crate::peer::Peer;
use crate::service;

/// A running server, ended when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) meadow: Arc<Meadow>,
    serving: JoinHandle<std::io::Result<()>>,
    hubs: Vec<HubServer>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (router, mut hubs) = service::router().unwrap();
        let meadow = Arc::new(Meadow::default());
        let hub = meadow::hub(&meadow, options());
        let router = router.layer(hub.layer("/meadow"));
        hubs.push(hub);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            meadow,
            serving,
            hubs,
        }
    }

    /// A raw socket to it.
    pub(crate) async fn peer(&self) -> Peer {
        Peer::over(TcpStream::connect(self.address).await.unwrap())
    }

    /// Ends all connections, as a service does that stops.
    pub(crate) fn drain(&self) {
        for hub in self.hubs.clone() {
            tokio::spawn(async move { hub.drain(Duration::ZERO).await });
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn options() -> HubOptions {
    HubOptions {
        allow_stateful_reconnects: true,
        // Both sides acknowledge once a second only; the streams go on meanwhile.
        stateful_reconnect_buffer_size: 1_000_000,
        keep_alive_interval: Duration::from_secs(1),
        disconnect_timeout: Duration::from_secs(4),
        ..HubOptions::default()
    }
}
