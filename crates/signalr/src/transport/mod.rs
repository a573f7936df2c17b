//! HTTP in front of a hub: which request is what, and its status and body.
//!
//! Owns negotiate, the three transports and every answer that is not a hub
//! message. It knows nothing of methods or messages; it moves bytes between
//! requests and `connection`.

mod negotiate;
mod web_socket;
mod server_sent_events;
mod long_polling;
mod send;
mod answer;
mod gate;

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, request::Parts};
use tower::{Layer, Service};

use crate::{
    ConnectionId, HubServer, Principal,
    connection::{Connection, Negotiated},
    connection_token::{ConnectionToken, Location},
    server::Core,
};

pub use gate::Admission;
pub(crate) use gate::Gate;

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TransportKind {
    /// A WebSocket.
    WebSockets = 1,
    /// Server-Sent Events for what the server sends, POST for what the client sends.
    ServerSentEvents = 2,
    /// A GET for each batch of what the server sends, POST for what the client sends.
    LongPolling = 3,
}

impl TransportKind {
    /// The name in negotiate and in error texts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSockets => "WebSockets",
            Self::ServerSentEvents => "ServerSentEvents",
            Self::LongPolling => "LongPolling",
        }
    }
}

/// Serves a hub at a path and passes every other request on: what
/// [`HubServer::layer`] gives.
#[derive(Debug, Clone)]
pub struct HubLayer {
    hub: HubServer,
    path: Arc<str>,
}

impl HubLayer {
    pub(crate) fn new(hub: HubServer, path: &str) -> Self {
        Self {
            hub,
            path: path.trim_end_matches('/').into(),
        }
    }
}

impl<S> Layer<S> for HubLayer {
    type Service = HubService<S>;

    fn layer(&self, inner: S) -> HubService<S> {
        HubService {
            hub: self.hub.clone(),
            path: Arc::clone(&self.path),
            inner,
        }
    }
}

/// What [`HubLayer`] makes.
#[derive(Debug, Clone)]
pub struct HubService<S> {
    hub: HubServer,
    path: Arc<str>,
    inner: S,
}

impl<S> HubService<S> {
    pub(crate) fn new(hub: HubServer, path: &str, inner: S) -> Self {
        Self {
            hub,
            path: path.trim_end_matches('/').into(),
            inner,
        }
    }
}

/// Answers 404: what stands behind a hub's service when nothing else does.
#[derive(Debug, Clone, Copy)]
pub struct NotFound;

impl<B> Service<Request<B>> for NotFound {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        std::future::ready(Ok(answer::empty(StatusCode::NOT_FOUND)))
    }
}

type BoxedAnswer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S, B> Service<Request<B>> for HubService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: fmt::Display + Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxedAnswer<S::Error>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(endpoint) = endpoint(&self.path, request.uri().path()) else {
            return Box::pin(self.inner.call(request));
        };
        let core = Arc::clone(self.hub.core());
        Box::pin(async move { Ok(serve(&core, endpoint, request).await) })
    }
}

#[derive(Debug, Clone, Copy)]
enum Endpoint {
    Hub,
    Negotiate,
}

/// ASP.NET Core's routes do not tell letter case apart.
fn endpoint(hub_path: &str, path: &str) -> Option<Endpoint> {
    let rest = path
        .get(..hub_path.len())
        .filter(|start| start.eq_ignore_ascii_case(hub_path));
    let rest = &path[rest?.len()..];
    match rest {
        "" | "/" => Some(Endpoint::Hub),
        _ if rest
            .trim_end_matches('/')
            .eq_ignore_ascii_case("/negotiate") =>
        {
            Some(Endpoint::Negotiate)
        }
        _ => None,
    }
}

/// Answers a request to the hub.
async fn serve<B>(core: &Arc<Core>, endpoint: Endpoint, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: fmt::Display + Send,
{
    let (parts, body) = request.into_parts();
    let principal = parts.extensions.get::<Principal>().cloned().map(Arc::new);
    // Before everything else, as an authentication middleware would.
    if !core.authorization.allows(principal.as_deref()) {
        return answer::empty(match principal {
            None => StatusCode::UNAUTHORIZED,
            Some(_) => StatusCode::FORBIDDEN,
        });
    }
    match (endpoint, &parts.method) {
        (Endpoint::Negotiate, &Method::POST) => negotiate::negotiate(core, &parts),
        (Endpoint::Hub, &Method::GET) if web_socket::is_upgrade(&parts) => {
            web_socket::attach(core, parts, principal).await
        }
        (Endpoint::Hub, &Method::GET) if wants_events(&parts) => {
            server_sent_events::attach(core, &parts, principal)
        }
        (Endpoint::Hub, &Method::GET) => long_polling::poll(core, &parts, principal).await,
        (Endpoint::Hub, &Method::POST) => send::post(core, &parts, body).await,
        (Endpoint::Hub, &Method::DELETE) => long_polling::delete(core, &parts),
        _ => answer::text(StatusCode::METHOD_NOT_ALLOWED, ""),
    }
}

/// An Accept item that is exactly `text/event-stream`, without parameters.
fn wants_events(parts: &Parts) -> bool {
    let accepts = parts.headers.get_all(header::ACCEPT);
    let mut items = accepts
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    items.any(|item| item.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The values of a query parameter; keys do not tell letter case apart.
fn query_values(parts: &Parts, key: &str) -> Vec<String> {
    let query = parts.uri.query().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            decode(name)
                .eq_ignore_ascii_case(key)
                .then(|| decode(value))
        })
        .collect()
}

/// Percent-decoding of a query component.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |digit: Option<&u8>| digit.and_then(|&digit| char::from(digit).to_digit(16));
        match (bytes[at], hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (b'+', ..) => {
                decoded.push(b' ');
                at += 1;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// What the `id` of a request leads to.
enum Lookup {
    /// No id, or an empty one.
    Missing,
    /// A connection of this node.
    Found(Arc<Connection>),
    /// A fresh token of another node.
    Remote(Remote),
    /// Nothing that lives.
    Unknown,
}

/// A connection that was negotiated at another node.
struct Remote {
    token: ConnectionToken,
    id: ConnectionId,
    stateful: bool,
}

impl Remote {
    /// From here on it is one of this node.
    fn take(self, core: &Arc<Core>) -> Arc<Connection> {
        let negotiated = Negotiated {
            stateful: self.stateful,
            ..Negotiated::default()
        };
        let connection = Connection::new(Arc::clone(core), self.id, self.token, negotiated);
        core.registry.announce(connection)
    }
}

fn look_up(core: &Core, parts: &Parts) -> Lookup {
    let id = query_values(parts, "id").join(",");
    if id.is_empty() {
        return Lookup::Missing;
    }
    let Some(token) = ConnectionToken::parse(&id) else {
        return Lookup::Unknown;
    };
    if let Some(connection) = core.registry.by_token(token) {
        return Lookup::Found(connection);
    }
    match core.mint.locate(token) {
        (Location::Remote { stateful, .. }, Some(id)) => Lookup::Remote(Remote {
            token,
            id,
            stateful,
        }),
        _ => Lookup::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_in_any_letter_case_and_nothing_below_them() {
        assert!(matches!(endpoint("/chat", "/Chat"), Some(Endpoint::Hub)));
        assert!(matches!(
            endpoint("/chat", "/chat/Negotiate"),
            Some(Endpoint::Negotiate)
        ));
        for other in [
            "/",
            "/cha",
            "/chats",
            "/chat/other",
            "/chat/negotiate/x",
            "/ch\u{e4}t",
        ] {
            assert!(endpoint("/chat", other).is_none(), "{other}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let request = Request::builder()
            .uri("/?ID=a%20b&x=1&id=c%2")
            .body(())
            .unwrap();
        assert_eq!(query_values(&request.into_parts().0, "id"), ["a b", "c%2"]);
    }
}
