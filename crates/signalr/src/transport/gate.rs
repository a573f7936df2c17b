//! Who is let in, as the application says: the gate in front of new connections.

use std::fmt;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};

use super::{answer, negotiate};

/// What an application says of a new connection: see
/// [`HubBuilder::gate`](crate::HubBuilder::gate).
#[derive(Clone, PartialEq, Eq)]
pub enum Admission {
    /// It may connect.
    Open,
    /// It is to connect elsewhere: negotiate answers with the address (and a
    /// token for it), and clients negotiate there. A WebSocket without
    /// negotiation cannot be sent on and gets 403.
    Redirect {
        /// The hub to connect to.
        url: String,
        /// What the client has to authenticate with there.
        access_token: Option<String>,
    },
    /// It may not connect.
    Refuse {
        /// What the client is told.
        message: String,
        /// The status of the answer, with the message as its text. `None`:
        /// negotiate answers 200 with the message as SignalR's `error`, which
        /// clients show, and a WebSocket without negotiation gets 403.
        status: Option<StatusCode>,
    },
}

/// Without the token.
impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("Open"),
            Self::Redirect { url, access_token } => f
                .debug_struct("Redirect")
                .field("url", url)
                .field("access_token", &access_token.as_ref().map(|_| ".."))
                .finish(),
            Self::Refuse { message, status } => f
                .debug_struct("Refuse")
                .field("message", message)
                .field("status", status)
                .finish(),
        }
    }
}

/// The application's say, by a request's head.
pub(crate) type Gate = Box<dyn Fn(&Parts) -> Admission + Send + Sync>;

/// The answer to a negotiate request that does not open; `None` for one that does.
pub(super) fn at_negotiate(gate: Option<&Gate>, parts: &Parts) -> Option<Response<Body>> {
    match gate?(parts) {
        Admission::Open => None,
        Admission::Redirect { url, access_token } => {
            Some(negotiate::redirect(&url, access_token.as_deref()))
        }
        Admission::Refuse {
            message,
            status: None,
        } => Some(negotiate::error(&message)),
        Admission::Refuse {
            message,
            status: Some(status),
        } => Some(refused(status, message)),
    }
}

/// The answer to a connection without negotiate that does not open.
pub(super) fn at_attach(gate: Option<&Gate>, parts: &Parts) -> Option<Response<Body>> {
    match gate?(parts) {
        Admission::Open => None,
        Admission::Redirect { .. } => Some(answer::text(StatusCode::FORBIDDEN, "")),
        Admission::Refuse { message, status } => {
            Some(refused(status.unwrap_or(StatusCode::FORBIDDEN), message))
        }
    }
}

fn refused(status: StatusCode, message: String) -> Response<Body> {
    let mut response = answer::text(status, "");
    *response.body_mut() = Body::from(message);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::Admission;

    #[test]
    fn a_token_is_in_no_debug_text() {
        let redirect = Admission::Redirect {
            url: "https://other.example.com/hub".to_owned(),
            access_token: Some("hidden".to_owned()),
        };
        let text = format!("{redirect:?}");
        assert!(
            text.contains("other.example.com") && !text.contains("hidden"),
            "{text}"
        );
    }
}
