//! The gate of hub and stream paths: `Authorization: Bearer`, or
//! `?access_token=` because browsers can set no header on a WebSocket or an
//! event stream. Behind it a request carries its [`Principal`] as an extension.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{
    HeaderValue, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
    request::Parts,
};

use super::{Denied, Entrance, Principal, Refusal, Turned, caller::bearer};

/// Paths that the gate stands before. Letter case does not matter, as in
/// ASP.NET's routes.
const GATED: &[&str] = &["/hubs/", "/v2/realtime/"];

/// Whether the gate stands before `path`.
fn is_gated(path: &str) -> bool {
    GATED.iter().any(|gated| {
        path.get(..gated.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(gated))
    })
}

/// Middleware: other paths than those of hubs and streams pass unchanged.
///
/// A WebSocket that a foreign page opens is refused before its token is looked
/// at. A refusal has an empty body: clients of SignalR put the body of a failed
/// negotiation into the message that they show.
pub async fn hub_gate(
    State(entrance): State<Arc<Entrance>>,
    request: Request,
    next: Next,
) -> Response {
    if !is_gated(request.uri().path()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let client = entrance.client(&parts);
    if !entrance.allows_upgrade(&parts.headers) {
        return match entrance.deny(Denied::Origin, "a WebSocket", client) {
            Some(seconds) => too_many(seconds),
            None => empty(StatusCode::FORBIDDEN),
        };
    }
    let token = token(&parts);
    let admitted = entrance.admit(token.as_deref().map_err(|refusal| *refusal), client);
    match admitted.await {
        Ok(principal) => {
            let mut request = Request::from_parts(parts, body);
            request
                .extensions_mut()
                .insert(signalr::Principal::from(&principal));
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(turned) => refused(turned),
    }
}

impl From<&Principal> for signalr::Principal {
    fn from(principal: &Principal) -> Self {
        let seconds = u64::try_from(principal.expires_at).unwrap_or(0);
        let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let user = Self::new(principal.user_id.to_arc()).with_expiry(expiry);
        principal
            .roles
            .iter()
            .fold(user, |user, role| user.with_role(&**role))
    }
}

fn token(parts: &Parts) -> Result<Cow<'_, str>, Refusal> {
    match bearer(&parts.headers) {
        Err(Refusal::Missing) => {}
        token => return token.map(Cow::Borrowed),
    }
    let query = parts.uri.query().unwrap_or_default();
    access_token(query).ok_or(Refusal::Missing)
}

/// The parameter is named exactly so; the first one counts, as in ASP.NET
/// applications' usual code.
fn access_token(query: &str) -> Option<Cow<'_, str>> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, token) =
        pairs.find(|(name, token)| decoded(name) == "access_token" && !token.is_empty())?;
    Some(decoded(token))
}

/// A name or a value of a query (application/x-www-form-urlencoded). That of
/// a token holds nothing to decode, and is not copied.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy();
    Cow::Owned(decoded.into_owned())
}

/// 401 as ASP.NET's JWT handler gives it, with an empty body.
fn refused(Turned { refusal, wait }: Turned) -> Response {
    if let Some(seconds) = wait {
        return too_many(seconds);
    }
    let challenge = match refusal {
        Refusal::Missing => "Bearer",
        _ => "Bearer error=\"invalid_token\"",
    };
    let mut response = empty(StatusCode::UNAUTHORIZED);
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

fn too_many(seconds: u32) -> Response {
    let mut response = empty(StatusCode::TOO_MANY_REQUESTS);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_and_stream_paths_are_gated() {
        for path in [
            "/hubs/plantanalysis",
            "/HUBS/x/negotiate",
            "/v2/realtime/stream",
        ] {
            assert!(is_gated(path), "{path}");
        }
        for path in ["/", "/hubs", "/api/v1/plantanalyses", "/health", "/ä"] {
            assert!(!is_gated(path), "{path}");
        }
    }

    #[test]
    fn the_token_is_taken_from_its_parameter_only() {
        assert_eq!(
            access_token("id=1&access_token=a.b.c").as_deref(),
            Some("a.b.c")
        );
        for (query, token) in [
            ("access_token=a%2Eb", "a.b"),
            ("%61ccess_token=a.b", "a.b"),
            ("access_token=&access_token=b&access_token=c", "b"),
            ("access_token=a=b", "a=b"),
            ("access_token=a+b%ff", "a b\u{fffd}"),
        ] {
            assert_eq!(access_token(query).as_deref(), Some(token), "{query}");
        }
        for query in [
            "",
            "access_token=",
            "Access_Token=x",
            "token=x",
            "xaccess_token=x",
        ] {
            assert_eq!(access_token(query), None, "{query}");
        }
    }
}
