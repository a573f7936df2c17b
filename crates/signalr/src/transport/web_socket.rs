//! Opening and reopening WebSockets (RFC 6455, section 4.2).

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::{Lookup, TransportKind, answer, gate, look_up};
use crate::{
    Principal,
    connection::{Connection, Negotiated, drive},
    server::Core,
    websocket::accept_key,
};

/// Whether the request asks for a WebSocket that can be given.
pub(super) fn is_upgrade(parts: &Parts) -> bool {
    let headers = &parts.headers;
    parts.method == Method::GET
        && has_token(headers, header::CONNECTION, "upgrade")
        && has_token(headers, header::UPGRADE, "websocket")
        && headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_some_and(|version| version == "13")
        && headers.contains_key(header::SEC_WEBSOCKET_KEY)
        && parts.extensions.get::<OnUpgrade>().is_some()
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name);
    let mut tokens = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tokens.any(|each| each.trim().eq_ignore_ascii_case(token))
}

/// Attaches a WebSocket to a negotiated connection, to a new one, or to a
/// stateful one whose socket broke.
pub(super) async fn attach(
    core: &Arc<Core>,
    mut parts: Parts,
    principal: Option<Arc<Principal>>,
) -> Response<Body> {
    let connection = match find(core, &parts) {
        Found::Connection(connection) => connection,
        Found::Answer(answer) => return answer,
    };
    if !core.options.transports.has(TransportKind::WebSockets) {
        return answer::not_offered(TransportKind::WebSockets);
    }
    let first = connection.fix_transport(TransportKind::WebSockets);
    if first {
        connection.set_principal(principal);
    } else if let Some(answer) = refuse_reattach(&connection) {
        return answer;
    } else {
        connection.renew_principal(principal);
    }
    let upgrade = parts
        .extensions
        .remove::<OnUpgrade>()
        .expect("is_upgrade saw it");
    let key = parts
        .headers
        .get(header::SEC_WEBSOCKET_KEY)
        .expect("is_upgrade saw it");
    let accept = accept_key(key.as_bytes());
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) if first => drive(connection, Some(TokioIo::new(upgraded))).await,
            Ok(upgraded) => connection.reattach(TokioIo::new(upgraded)),
            Err(error) => {
                tracing::debug!(%error, "a WebSocket upgrade was not completed");
                if first {
                    core_forget(&connection);
                }
            }
        }
    });
    switching_protocols(&accept)
}

enum Found {
    Connection(Arc<Connection>),
    Answer(Response<Body>),
}

/// The connection that a request is for; one without an id opens a new one.
fn find(core: &Arc<Core>, parts: &Parts) -> Found {
    match look_up(core, parts) {
        Lookup::Found(connection) => Found::Connection(connection),
        Lookup::Missing | Lookup::Remote(_) if core.is_draining() => {
            Found::Answer(answer::leaving())
        }
        Lookup::Missing => {
            if let Some(answer) = gate::at_attach(core.gate.as_ref(), parts) {
                return Found::Answer(answer);
            }
            let (id, token) = core.mint.issue(true, false);
            let connection = Connection::new(Arc::clone(core), id, token, Negotiated::default());
            Found::Connection(core.registry.announce(connection))
        }
        Lookup::Remote(remote) => Found::Connection(remote.take(core)),
        Lookup::Unknown => Found::Answer(no_connection()),
    }
}

/// As recorded, this answer alone has no type.
fn no_connection() -> Response<Body> {
    let mut response = answer::text(StatusCode::NOT_FOUND, answer::NO_CONNECTION);
    response.headers_mut().remove(header::CONTENT_TYPE);
    response
}

/// The answer to a WebSocket for a connection that has a transport, unless it
/// may take up where that broke.
fn refuse_reattach(connection: &Connection) -> Option<Response<Body>> {
    let refused = match connection.transport() {
        Some(TransportKind::WebSockets) if connection.can_reattach() => return None,
        // A client that saw the end must not find that the server is not done with it.
        Some(TransportKind::WebSockets) if has_ended(connection) => no_connection(),
        Some(TransportKind::WebSockets) => answer::text(StatusCode::CONFLICT, ""),
        Some(_) => answer::text(StatusCode::BAD_REQUEST, answer::TRANSPORT_FIXED),
        None => answer::text(StatusCode::NOT_FOUND, answer::NO_CONNECTION),
    };
    Some(refused)
}

/// Whether the end was decided, by whomever.
fn has_ended(connection: &Connection) -> bool {
    connection.is_closing() || connection.outbox().has_ended()
}

fn core_forget(connection: &Connection) {
    connection.enter(crate::connection::Stage::Ended);
    connection.core().registry.forget(connection);
}

fn switching_protocols(accept: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::from_str(accept).expect("base64 is a header value");
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}
