//! A hub with the methods and paths of the recordings in `tests/goldens`, so
//! that a suite made against ASP.NET Core can be played against this crate:
//!
//! ```text
//! cargo run -p signalr --example conformance_hub [address]     # 127.0.0.1:5000
//! SIGNALR_ADDRESS=127.0.0.1:5000 cargo run -p signalr --example replay
//! ```

mod service;

use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> io::Result<()> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:5000".to_owned());
    let listener = TcpListener::bind(&address).await?;
    let (router, hubs) = service::router().map_err(io::Error::other)?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        served = axum::serve(listener, router) => served,
        _ = terminate.recv() => {
            for hub in hubs {
                hub.drain(Duration::ZERO).await;
            }
            Ok(())
        }
    }
}
