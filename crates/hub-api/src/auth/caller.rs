//! The signed-in caller of a REST request.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};

use super::{Denied, Entrance, Principal, Refusal};
use crate::http::{ApiError, Kind};

/// The role of operators.
pub(crate) const ADMIN: &str = "Admin";

/// The verified bearer of `Authorization: Bearer`. REST takes a token nowhere
/// else: an address with a token in it ends in logs and histories.
#[derive(Debug, Clone)]
pub struct Caller(pub Principal);

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Arc<Entrance>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let entrance = Arc::<Entrance>::from_ref(state);
        let client = entrance.client(parts);
        let admitted = entrance.admit(bearer(&parts.headers), client).await;
        let principal = admitted.map_err(ApiError::unauthorized)?;
        tracing::Span::current().record("user", tracing::field::display(&principal.user_id));
        Ok(Self(principal))
    }
}

/// A caller with the role Admin.
#[derive(Debug, Clone)]
pub struct Admin(pub Principal);

impl<S> FromRequestParts<S> for Admin
where
    S: Send + Sync,
    Arc<Entrance>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller(principal) = Caller::from_request_parts(parts, state).await?;
        if principal.has_role(ADMIN) {
            Ok(Self(principal))
        } else {
            let entrance = Arc::<Entrance>::from_ref(state);
            let client = entrance.client(parts);
            Err(match entrance.deny(Denied::Role, ADMIN, client) {
                Some(wait) => ApiError::too_many(wait),
                None => ApiError::new(Kind::FORBIDDEN, "This needs the role Admin."),
            })
        }
    }
}

/// The token of the `Authorization` header. Several such headers, or another
/// scheme, are no token.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let text = all
        .next()
        .ok_or(Refusal::Missing)?
        .to_str()
        .map_err(|_| Refusal::Malformed)?;
    if all.next().is_some() {
        return Err(Refusal::Malformed);
    }
    // RFC 9110 section 11.1: the scheme is compared without regard to case.
    let (scheme, token) = text.split_once(' ').ok_or(Refusal::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Missing);
    }
    match token.trim() {
        "" => Err(Refusal::Missing),
        token => Ok(token),
    }
}
