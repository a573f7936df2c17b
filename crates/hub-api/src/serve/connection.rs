//! Accepts connections and serves each with its limits of time and size.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{HeaderValue, Request, Version, header::CONNECTION};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use super::{
    Socket,
    activity::{Activity, Tracked},
    arriving,
};

/// Room for the longest head that proxies in front let through.
const LONGEST_HEAD: usize = 64 * 1024;
const STREAMS_A_CONNECTION: u32 = 128;

/// The limits of the connections of one listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open at the same time, upgraded ones included.
    pub connections: usize,
    /// Until the first byte.
    pub first_byte: Duration,
    /// Until a request's head is complete.
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
    let builder = Arc::new(builder(limits));
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
            Socket::new(stream, place),
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

fn builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
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
    socket: Socket,
    peer: SocketAddr,
    app: Router,
    (builder, limits): (Arc<Builder<TokioExecutor>>, Limits),
    (stop, kill): (CancellationToken, CancellationToken),
) {
    // Notifications are small and must not wait for each other (RFC 896).
    if let Err(error) = socket.tcp().set_nodelay(true) {
        tracing::debug!(%error, "cannot switch Nagle's algorithm off");
    }
    // The header timeout begins with the first byte only.
    let mut first = [0; 1];
    let came = tokio::select! {
        () = stop.cancelled() => return,
        came = timeout(limits.first_byte, socket.tcp().peek(&mut first)) => came,
    };
    if !matches!(came, Ok(Ok(1))) {
        return;
    }
    let activity = Activity::new();
    let requests = activity.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let closable = parts.version < Version::HTTP_2;
        let (body, ended) = arriving::watch(body);
        let mut request = Request::from_parts(parts, Body::new(body));
        request.extensions_mut().insert(Peer(peer));
        let (answer, under_way) = (app.clone().oneshot(request), requests.begin());
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
    });
    let served = builder.serve_connection_with_upgrades(TokioIo::new(socket), service);
    let mut served = pin!(served);
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = kill.cancelled() => return,
        () = ending(&activity, limits.idle, &stop) => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                result = served.as_mut() => result,
                () = kill.cancelled() => return,
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(error = %crate::lifecycle::describe(&*error), "a connection ended badly");
    }
}

/// Done when the connection is to end after what is under way.
async fn ending(activity: &Activity, idle: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = activity.idle(idle) => {}
    }
}
