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
    let connection = match look_up(core, &parts) {
        Lookup::Found(connection) => connection,
        Lookup::Missing | Lookup::Remote(..) if core.is_draining() => return answer::leaving(),
        Lookup::Missing => {
            if let Some(answer) = gate::at_attach(core.gate.as_ref(), &parts) {
                return answer;
            }
            let (id, token) = core.mint.issue(true);
            core.registry.announce(Connection::new(
                Arc::clone(core),
                id,
                token,
                Negotiated::default(),
            ))
        }
        Lookup::Remote(token, id) => core.registry.announce(Connection::new(
            Arc::clone(core),
            id,
            token,
            Negotiated::default(),
        )),
        Lookup::Unknown => {
            // As recorded, this answer alone has no type.
            let mut response = answer::text(StatusCode::NOT_FOUND, answer::NO_CONNECTION);
            response.headers_mut().remove(header::CONTENT_TYPE);
            return response;
        }
    };
    if !core.options.transports.has(TransportKind::WebSockets) {
        return answer::not_offered(TransportKind::WebSockets);
    }
    let first = connection.fix_transport(TransportKind::WebSockets);
    if !first {
        match connection.transport() {
            Some(TransportKind::WebSockets) if connection.can_reattach() => {}
            Some(TransportKind::WebSockets) if connection.is_closing() => {
                return answer::text(StatusCode::NOT_FOUND, "");
            }
            Some(TransportKind::WebSockets) => return answer::text(StatusCode::CONFLICT, ""),
            Some(_) => return answer::text(StatusCode::BAD_REQUEST, answer::TRANSPORT_FIXED),
            None => return answer::text(StatusCode::NOT_FOUND, answer::NO_CONNECTION),
        }
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
    connection.set_principal(principal);
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
