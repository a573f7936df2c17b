//! Serves the health routes: few connections, short ones, each with a deadline.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Probes are few; more connections wait unaccepted.
const MOST_CONNECTIONS: usize = 64;

/// Until a connection's first byte, and until a request's head is complete.
/// hyper's own timer only starts with the first byte.
const HEAD: Duration = Duration::from_secs(5);

/// A connection lives no longer: probes connect anew.
const LIFE: Duration = Duration::from_secs(60);

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
            Some((slot, listener.accept().await))
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Some((slot, Ok((stream, _)))) => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    let served = timeout(LIFE, connection(stream, router));
                    tokio::select! {
                        _ = served => {}
                        () = stop.cancelled() => {}
                    }
                    drop(slot);
                });
            }
            Some((_, Err(error))) => {
                // Out of descriptors, or a peer that left: neither ends the server.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            None => return,
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    if !matches!(timeout(HEAD, stream.peek(&mut [0])).await, Ok(Ok(1))) {
        return;
    }
    let mut server = auto::Builder::new(TokioExecutor::new()).http1_only();
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    let served = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = served.await {
        tracing::debug!(error, "a health connection ended early");
    }
}
