//! Long polling: a GET for each batch of what the server sends, and its end.

use std::sync::{Arc, atomic::Ordering};

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};

use super::{Lookup, TransportKind, answer, look_up};
use crate::{
    Principal,
    close::CloseReason,
    connection::{Connection, Stage, drive},
    server::Core,
};

/// What a poll ends with.
enum Outcome {
    Data(Vec<u8>),
    /// The connection is over and everything was fetched, or a newer poll came.
    NoContent {
        over: bool,
    },
}

/// Answers a poll; the first one attaches.
pub(super) async fn poll(
    core: &Arc<Core>,
    parts: &Parts,
    principal: Option<Arc<Principal>>,
) -> Response<Body> {
    answer::uncached(poll_inner(core, parts, principal).await)
}

async fn poll_inner(
    core: &Arc<Core>,
    parts: &Parts,
    principal: Option<Arc<Principal>>,
) -> Response<Body> {
    let connection = match look_up(core, parts) {
        Lookup::Found(connection) => connection,
        Lookup::Missing => return answer::text(StatusCode::BAD_REQUEST, answer::ID_REQUIRED),
        // Polls go on at the node where they began.
        Lookup::Remote(..) | Lookup::Unknown => {
            return answer::text(StatusCode::NOT_FOUND, answer::NO_CONNECTION);
        }
    };
    if !core.options.transports.has(TransportKind::LongPolling) {
        return answer::not_offered(TransportKind::LongPolling);
    }
    if connection.fix_transport(TransportKind::LongPolling) {
        connection.set_principal(principal);
        detach(&connection);
        tokio::spawn(drive(Arc::clone(&connection), None));
        return data(&connection, Vec::new());
    }
    match connection.transport() {
        Some(TransportKind::LongPolling) => {}
        Some(_) => return answer::text(StatusCode::BAD_REQUEST, answer::TRANSPORT_FIXED),
        None => return answer::text(StatusCode::NOT_FOUND, answer::NO_CONNECTION),
    }
    connection.heard();
    connection.renew_principal(principal);
    connection.polls_again();
    wait(core, connection).await
}

async fn wait(core: &Arc<Core>, connection: Arc<Connection>) -> Response<Body> {
    let lane = connection.http();
    let number = lane.poll.fetch_add(1, Ordering::AcqRel) + 1;
    connection.times.detached_since.store(0, Ordering::Relaxed);
    // The older poll sees that it is no longer the current one.
    connection.wake_sink();
    let guard = PollGuard {
        connection: &connection,
        number,
    };
    let outcome = connection
        .poll_until(core.options.poll_timeout, || {
            if lane.poll.load(Ordering::Acquire) != number {
                return Some(Outcome::NoContent { over: false });
            }
            let outgoing = connection.take_outgoing();
            if !outgoing.is_empty() {
                connection.answers_poll(&outgoing);
                let payloads = outgoing.iter().flat_map(|each| each.frame.payload());
                return Some(Outcome::Data(payloads.copied().collect()));
            }
            let over = connection.outbox().has_ended() && connection.stage() >= Stage::Ending;
            over.then_some(Outcome::NoContent { over: true })
        })
        .await;
    drop(guard);
    match outcome {
        Some(Outcome::Data(bytes)) => data(&connection, bytes),
        Some(Outcome::NoContent { over }) => {
            if over {
                core.registry.forget(&connection);
            }
            answer::text(StatusCode::NO_CONTENT, "")
        }
        None => answer::text(StatusCode::OK, ""),
    }
}

/// When a poll ends, in whatever way, the time between polls begins.
struct PollGuard<'a> {
    connection: &'a Connection,
    number: u64,
}

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        if self.connection.http().poll.load(Ordering::Acquire) == self.number {
            detach(self.connection);
        }
    }
}

fn detach(connection: &Connection) {
    let now = connection.core().now().max(1);
    connection
        .times
        .detached_since
        .store(now, Ordering::Relaxed);
}

fn data(connection: &Connection, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    // Dart reads a body as Latin-1 unless its type says otherwise.
    let media_type = match connection.negotiated.flutter {
        true => "text/plain; charset=utf-8",
        false => "application/octet-stream",
    };
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The client ends its connection.
pub(super) fn delete(core: &Arc<Core>, parts: &Parts) -> Response<Body> {
    let connection = match look_up(core, parts) {
        Lookup::Found(connection) => connection,
        Lookup::Missing => return answer::text(StatusCode::BAD_REQUEST, answer::ID_REQUIRED),
        Lookup::Remote(..) | Lookup::Unknown => {
            return answer::text(StatusCode::NOT_FOUND, answer::NO_CONNECTION);
        }
    };
    if connection.transport() != Some(TransportKind::LongPolling) {
        return answer::text(
            StatusCode::BAD_REQUEST,
            "Cannot terminate this connection using the DELETE endpoint.",
        );
    }
    connection.request_close(CloseReason::Deleted);
    core.registry.forget(&connection);
    answer::text(StatusCode::ACCEPTED, "")
}
