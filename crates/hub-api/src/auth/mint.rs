//! Makes a token for a developer, by the command line or for a page on the
//! developer's own machine, and only in Development: else the hub issues none.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use secrecy::ExposeSecret as _;
use serde_json::json;
use shared_dto::UserId;
use time::OffsetDateTime;

use super::claims::Claims;
use crate::config::Config;

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Outside Development tokens come from the system that knows the users.
    #[error("tokens are made in Development only; this is {0}")]
    NotDevelopment(crate::config::Environment),
    /// There is only a public key.
    #[error("there is no jwt.secret to sign with")]
    NoSecret,
    /// The signature could not be made.
    #[error("cannot sign the token")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// A token for `user`, valid from now for `lifetime`.
///
/// # Errors
/// [`MintError`] outside Development or without a secret.
pub fn mint(
    config: &Config,
    user: &UserId,
    roles: &[String],
    lifetime: Duration,
) -> Result<String, MintError> {
    if !config.environment.is_development() {
        return Err(MintError::NotDevelopment(config.environment));
    }
    sign(config, user, roles, lifetime)
}

/// A token without roles for the user of `hub-api check`, for a minute. Whoever
/// runs the check has the secret, and could sign whatever he likes.
///
/// # Errors
/// [`MintError::NoSecret`] where tokens come from another system.
pub(crate) fn sign_for_check(config: &Config, user: &UserId) -> Result<String, MintError> {
    sign(config, user, &[], Duration::from_secs(60))
}

/// Whose token it is, as it says itself: enough to know whom to notify.
pub(crate) fn unverified_user(token: &str) -> Option<UserId> {
    let claims = jsonwebtoken::dangerous::insecure_decode::<Claims>(token).ok()?;
    Some(claims.claims.into_principal()?.user_id)
}

fn sign(
    config: &Config,
    user: &UserId,
    roles: &[String],
    lifetime: Duration,
) -> Result<String, MintError> {
    let secret = config.jwt.secret.as_ref().ok_or(MintError::NoSecret)?;
    let now = OffsetDateTime::now_utc();
    let mut claims = json!({
        "sub": user.as_str(),
        "userId": user,
        "iat": now.unix_timestamp(),
        "exp": (now + lifetime).unix_timestamp(),
    });
    for (name, value) in [("iss", &config.jwt.issuer), ("aud", &config.jwt.audience)] {
        if let Some(value) = value {
            claims[name] = json!(value);
        }
    }
    if !roles.is_empty() {
        claims["role"] = json!(roles);
    }
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    Ok(encode(&Header::default(), &claims, &key)?)
}
