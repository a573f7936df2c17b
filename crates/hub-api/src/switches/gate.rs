//! Keeps new clients out of what is switched off, or not for them yet.

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, UPGRADE},
    request::Parts,
};
use signalr::{Admission, Principal};

use super::Switches;

/// Hubs of clients. Those of operators are served whatever is switched off:
/// it is there that it is switched on again.
const HUBS: &str = "/hubs/";
const OPERATORS: &[&str] = &["/hubs/admin", "/hubs/dashboard"];
const STREAM: &str = "/v2/realtime/stream";

const SWITCHED_OFF: &str = "Live updates are switched off. Results can be fetched as before.";
const NOT_YET: &str =
    "Live updates are not available for you yet. Results can be fetched as before.";

/// Clients are to ask again after this many seconds.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("30");

/// Middleware before everything that clients connect to.
pub(crate) async fn switch_gate(
    State(switches): State<Switches>,
    request: Request,
    next: Next,
) -> Response {
    let state = switches.state();
    let path = request.uri().path();
    if !state.signalr && is_hub(path) && !goes_on(&request) {
        let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, SWITCHED_OFF);
        response.headers_mut().insert(RETRY_AFTER, ASK_AGAIN);
        return response;
    }
    if !state.streaming_v2 && starts(path, STREAM) {
        return refusal(StatusCode::FORBIDDEN, SWITCHED_OFF);
    }
    next.run(request).await
}

/// What a hub asks for each new connection; its caller is known by then.
pub(crate) fn admission(switches: &Switches, parts: &Parts) -> Admission {
    let user = parts.extensions.get::<Principal>();
    let reached = user
        .and_then(Principal::user_id)
        .is_some_and(|user| switches.reaches(user));
    if reached {
        return Admission::Open;
    }
    Admission::Refuse {
        message: NOT_YET.to_owned(),
        status: None,
    }
}

fn starts(path: &str, with: &str) -> bool {
    path.get(..with.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(with))
}

fn is_hub(path: &str) -> bool {
    starts(path, HUBS) && !OPERATORS.iter().any(|operators| starts(path, operators))
}

/// A connection that is being closed still has to hear of it, by its polls.
fn goes_on(request: &Request) -> bool {
    let headers = request.headers();
    let negotiates = request
        .uri()
        .path()
        .trim_end_matches('/')
        .to_ascii_lowercase()
        .ends_with("/negotiate");
    let attaches =
        request.method() == Method::GET && (headers.contains_key(UPGRADE) || wants_events(headers));
    !negotiates
        && !attaches
        && request
            .uri()
            .query()
            .is_some_and(|query| query.contains("id="))
}

fn wants_events(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .is_some_and(|accept| accept.as_bytes().starts_with(b"text/event-stream"))
}

fn refusal(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_keep_their_hub() {
        for (path, hub) in [
            ("/hubs/plantanalysis", true),
            ("/HUBS/PlantAnalysis/negotiate", true),
            ("/hubs/admin/negotiate", false),
            ("/health", false),
        ] {
            assert_eq!(is_hub(path), hub, "{path}");
        }
    }

    #[test]
    fn polls_and_posts_of_a_connection_go_on_and_nothing_new_does() {
        let request = |method: Method, uri: &str, name: &str, value: &str| {
            let request = http::Request::builder().method(method).uri(uri);
            request.header(name, value).body(Body::empty()).unwrap()
        };
        let (get, post) = (Method::GET, Method::POST);
        for (request, on) in [
            (request(get.clone(), "/hubs/x?id=1", "accept", "*/*"), true),
            (request(post.clone(), "/hubs/x?id=1", "accept", "*/*"), true),
            (
                request(post, "/hubs/x/negotiate?id=1", "accept", "*/*"),
                false,
            ),
            (
                request(get.clone(), "/hubs/x?id=1", "upgrade", "websocket"),
                false,
            ),
            (
                request(get.clone(), "/hubs/x?id=1", "accept", "text/event-stream"),
                false,
            ),
            (request(get, "/hubs/x", "accept", "*/*"), false),
        ] {
            assert_eq!(goes_on(&request), on, "{request:?}");
        }
    }
}
