//! `POST /api/development/token`: signs a developer in as any user, so that the
//! pages can be tried without a system that knows users.
//!
//! Outside Development there is no such path. In Development it answers
//! programs on this machine only: whoever else reaches the port gets nothing.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{FromRef, FromRequestParts, State},
};
use http::{header::HOST, request::Parts};
use shared_dto::{
    development::{DevelopmentToken, DevelopmentTokenRequest},
    problem::Problem,
};
use time::OffsetDateTime;

use super::{ApiError, json::ApiJson, layers, problem::Kind};
use crate::{
    auth::{self, Entrance, MintError},
    config::Config,
};

const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// A developer's own machine, in Development.
pub(crate) struct Developer;

impl<S> FromRequestParts<S> for Developer
where
    S: Send + Sync,
    Arc<Config>: FromRef<S>,
    Arc<Entrance>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let config = Arc::<Config>::from_ref(state);
        if !config.environment.is_development() {
            return Err(layers::not_found().await);
        }
        let client = Arc::<Entrance>::from_ref(state).client(parts);
        // A tunnel to this machine speaks for everybody at its other end.
        let local = client.is_some_and(|client| !client.is_proxy && client.address.is_loopback());
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        // A foreign page may have its own name resolved to this machine (DNS rebinding).
        if local && host.is_some_and(is_local_name) {
            return Ok(Self);
        }
        let detail = "Tokens are given to programs on the hub's own machine only. Elsewhere, paste one that make token prints.";
        Err(ApiError::new(Kind::FORBIDDEN, detail))
    }
}

/// Get a token (Development only)
///
/// For any user, to callers on the hub's own machine. In Production there is no such path.
#[utoipa::path(
    post,
    path = "/api/development/token",
    tag = "development",
    request_body = DevelopmentTokenRequest,
    responses(
        (status = 200, body = DevelopmentToken),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn development_token(
    _: Developer,
    State(config): State<Arc<Config>>,
    ApiJson(wanted): ApiJson<DevelopmentTokenRequest>,
) -> Result<Json<DevelopmentToken>, ApiError> {
    let expires_at = OffsetDateTime::now_utc() + LIFETIME;
    match auth::mint(&config, &wanted.user_id, &wanted.roles, LIFETIME) {
        Ok(token) => Ok(Json(DevelopmentToken { token, expires_at })),
        Err(MintError::NotDevelopment(_)) => Err(layers::not_found().await),
        Err(MintError::NoSecret) => {
            let detail = "This hub only checks tokens; it has no key to sign them with.";
            Err(ApiError::new(Kind::FORBIDDEN, detail))
        }
        Err(error @ MintError::Sign(_)) => Err(ApiError::internal(error, "sign a token")),
    }
}

/// Whether a `Host` names this machine, with or without a port.
fn is_local_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "localhost" | "127.0.0.1" | "[::1]") || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_names_are_local() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:8080",
            "hub.localhost:1",
        ] {
            assert!(is_local_name(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:8080",
            "[::2]:80",
        ] {
            assert!(!is_local_name(host), "{host}");
        }
    }
}
