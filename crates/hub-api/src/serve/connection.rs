//! Accepts connections and serves each with its limits of time and size.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{HeaderValue, Request, Response, Version, header::CONNECTION};
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service as _;

use super::{
    Socket,
    activity::{Activity, Overdue, Patience, Tracked},
    arriving,
    repoll::Repoll,
};

/// Room for the longest head that proxies in front let through.
const LONGEST_HEAD: usize = 64 * 1024;
const STREAMS_A_CONNECTION: u32 = 128;
/// A connection that was told to end, and has nothing under way, is waited for
/// no longer: for the peer's part in the end of HTTP/2, or for a head that was
/// just arriving.
const LONGEST_FAREWELL: Duration = Duration::from_secs(5);

/// The limits of the connections of one listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open at the same time, upgraded ones included.
    pub connections: usize,
    /// Until the first byte.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its head.
    pub header: Duration,
    /// Between two requests.
    pub idle: Duration,
}

/// The address of the peer, as an extension of each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Serves `app` on `listener` until `stop`, then lets requests under way
/// finish until `kill`.
///
/// # Errors
/// Never by itself: accepting goes on after an error.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    stop: CancellationToken,
    kill: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(
        limits.connections.min(Semaphore::MAX_PERMITS),
    ));
    let builder = Arc::new(builder());
    let connections = TaskTracker::new();
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let place = place.map_err(|_| io::Error::other("the places were closed"))?;
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        let served = connection(
            (stream, place),
            peer,
            app.clone(),
            (Arc::clone(&builder), limits),
            (stop.clone(), kill.clone()),
        );
        connections.spawn(served);
    }
    // No connection waits in the backlog of a hub that leaves.
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // It would run between requests too, and so end idle connections early:
        // the time of a head is kept by `Activity`.
        .header_read_timeout(None)
        .max_buf_size(LONGEST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_A_CONNECTION)
        .max_header_list_size(u32::try_from(LONGEST_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// The next connection. Errors of one connection, and running out of
/// descriptors, pass.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                let own = matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                );
                if !own {
                    tracing::error!(%error, "cannot accept connections");
                    sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }
}

async fn connection(
    (stream, place): (TcpStream, OwnedSemaphorePermit),
    peer: SocketAddr,
    app: Router,
    (builder, limits): (Arc<Builder<TokioExecutor>>, Limits),
    (stop, kill): (CancellationToken, CancellationToken),
) {
    // Notifications are small and must not wait for each other (RFC 896).
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch Nagle's algorithm off");
    }
    let mut first = [0; 1];
    let came = tokio::select! {
        () = stop.cancelled() => return,
        came = timeout(limits.first_byte, stream.peek(&mut first)) => came,
    };
    if !matches!(came, Ok(Ok(1))) {
        return;
    }
    let activity = Activity::new();
    let service = service(app, peer, activity.clone());
    let socket = Socket::new(stream, place, activity.clone());
    let served = builder.serve_connection_with_upgrades(TokioIo::new(socket), service);
    let mut served = pin!(Repoll::new(served));
    let patience = Patience {
        header: limits.header,
        idle: limits.idle,
    };
    // In this order, so that what has just arrived is known when time is judged.
    let result = tokio::select! {
        biased;
        result = served.as_mut() => result,
        () = kill.cancelled() => return,
        end = ending(&activity, patience, &stop) => {
            if end == Some(Overdue::Header) {
                return;
            }
            served.as_mut().inner().graceful_shutdown();
            activity.idle_from_now();
            let patience = Patience { idle: LONGEST_FAREWELL, ..patience };
            tokio::select! {
                biased;
                result = served.as_mut() => result,
                () = kill.cancelled() => return,
                _ = activity.overdue(patience) => return,
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(error = %crate::lifecycle::describe(&*error), "a connection ended badly");
    }
}

/// `app` with what this server knows of the connection of each request.
fn service(
    app: Router,
    peer: SocketAddr,
    activity: Activity,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Tracked>,
    Error = Infallible,
    Future: Send + 'static,
> {
    hyper::service::service_fn(move |request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let closable = parts.version < Version::HTTP_2;
        let (body, ended) = arriving::watch(body);
        let mut request = Request::from_parts(parts, Body::new(body));
        request.extensions_mut().insert(Peer(peer));
        let under_way = activity.begin(!closable);
        // A router is always ready.
        let answer = app.clone().call(request);
        async move {
            let mut answer = answer.await?;
            if closable && !ended.is_ended() {
                answer
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer.map(|body| Tracked {
                body,
                _under_way: under_way,
            }))
        }
    })
}

/// Done when the connection is to end: which time is over, or none where the
/// hub leaves.
async fn ending(
    activity: &Activity,
    patience: Patience,
    stop: &CancellationToken,
) -> Option<Overdue> {
    tokio::select! {
        () = stop.cancelled() => None,
        why = activity.overdue(patience) => Some(why),
    }
}
