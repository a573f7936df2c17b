//! The guard of internal routes: where a call comes from, how many calls come
//! from there, and whether it knows the secret.

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use shared_dto::notify::INTERNAL_SECRET_HEADER;
use subtle::{Choice, ConstantTimeEq as _};

use super::rate::RateLimit;
use crate::{
    auth::{self, Network},
    config::InternalConfig,
    http::{ApiError, problem::Kind},
    serve::Peer,
};

/// The guard's rules and counts.
#[derive(Debug)]
pub(crate) struct Guard {
    secrets: Vec<Digest>,
    allowed: Vec<Network>,
    calls: RateLimit,
    wrong_secrets: RateLimit,
}

/// Secrets are compared by their hashes: of equal length, and of a form that
/// tells nothing of the secret.
struct Digest([u8; 32]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl Guard {
    /// The guard by configuration; what does not parse was refused before.
    pub(crate) fn new(config: &InternalConfig) -> Self {
        let secrets = [&config.secret, &config.previous_secret];
        Self {
            secrets: secrets.into_iter().flatten().map(digest).collect(),
            allowed: config
                .allowed_ips
                .iter()
                .filter_map(|text| auth::parse_network(text))
                .collect(),
            calls: RateLimit::per_minute(config.requests_per_minute),
            wrong_secrets: RateLimit::per_minute(config.wrong_secrets_per_minute),
        }
    }

    /// Whether a call from `address` is looked at at all.
    fn admit(&self, address: IpAddr, now: Instant) -> Result<(), ApiError> {
        if self.is_listed(address) {
            return Ok(());
        }
        let source = auth::rate_key(address);
        self.calls.take(source, now).map_err(|wait| {
            tracing::warn!(peer = %address, "internal calls refused: too many");
            ApiError::too_many(wait)
        })?;
        self.wrong_secrets
            .check(source, now)
            .map_err(ApiError::too_many)?;
        if self.allowed.is_empty() {
            return Ok(());
        }
        tracing::warn!(peer = %address, "internal call refused: not on the allow-list");
        Err(ApiError::new(
            Kind::FORBIDDEN,
            "This address may not call here.",
        ))
    }

    /// Loopback is always on the list.
    fn is_listed(&self, address: IpAddr) -> bool {
        let address = auth::canonical(address);
        address.is_loopback()
            || self
                .allowed
                .iter()
                .any(|network| network.contains(&address))
    }

    /// Whether `given` is a secret; a wrong one is counted.
    pub(crate) fn check(&self, given: &[u8], address: IpAddr) -> Result<(), ApiError> {
        let given = Sha256::digest(given);
        // Every secret is compared, so that time does not tell which one is near.
        let known = self.secrets.iter().fold(Choice::from(0), |known, secret| {
            known | secret.0.as_slice().ct_eq(given.as_slice())
        });
        if bool::from(known) {
            return Ok(());
        }
        tracing::warn!(peer = %address, "internal call refused: wrong secret");
        if !self.is_listed(address) {
            self.wrong_secrets
                .take(auth::rate_key(address), Instant::now())
                .map_err(ApiError::too_many)?;
        }
        Err(ApiError::new(
            Kind::WRONG_SECRET,
            "The call was not authorised.",
        ))
    }
}

fn digest(secret: &SecretString) -> Digest {
    Digest(Sha256::digest(secret.expose_secret().as_bytes()).into())
}

/// A caller that may try: from an address that is allowed, not too often. The
/// deployed contract brings its secret in the body, so it is checked later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdmittedPeer(pub(crate) IpAddr);

impl<S> FromRequestParts<S> for AdmittedPeer
where
    S: Send + Sync,
    Arc<Guard>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Some(Peer(address)) = parts.extensions.get::<Peer>().copied() else {
            return Err(ApiError::internal(
                "no peer address",
                "guard an internal call",
            ));
        };
        let address = auth::canonical(address.ip());
        Arc::<Guard>::from_ref(state).admit(address, Instant::now())?;
        Ok(Self(address))
    }
}

/// A caller that knows the secret.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Internal;

impl<S> FromRequestParts<S> for Internal
where
    S: Send + Sync,
    Arc<Guard>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let AdmittedPeer(address) = AdmittedPeer::from_request_parts(parts, state).await?;
        let given = parts.headers.get(INTERNAL_SECRET_HEADER);
        let given = given.map_or(&[][..], http::HeaderValue::as_bytes);
        Arc::<Guard>::from_ref(state).check(given, address)?;
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allowed: &[&str]) -> Guard {
        Guard::new(&InternalConfig {
            secret: Some("the secret".into()),
            previous_secret: Some("the one before".into()),
            allowed_ips: allowed.iter().map(|text| (*text).to_owned()).collect(),
            requests_per_minute: 3,
            wrong_secrets_per_minute: 2,
            max_waiting_leases: 1,
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn both_secrets_open_and_nothing_else_does() {
        let guard = guard(&[]);
        let peer = address("127.0.0.1");
        assert!(guard.check(b"the secret", peer).is_ok());
        assert!(guard.check(b"the one before", peer).is_ok());
        for wrong in [&b""[..], b"the secre", b"the secret ", b"THE SECRET"] {
            assert_eq!(guard.check(wrong, peer).unwrap_err().status(), 401);
        }
    }

    #[test]
    fn sources_on_the_list_are_unlimited_and_others_are_refused() {
        let guard = guard(&["10.0.0.0/8"]);
        let now = Instant::now();
        for _ in 0..10 {
            assert!(guard.admit(address("::ffff:10.1.1.1"), now).is_ok());
            assert!(guard.admit(address("::1"), now).is_ok());
        }
        assert_eq!(
            guard.admit(address("192.0.2.1"), now).unwrap_err().status(),
            403
        );
    }

    #[test]
    fn without_a_list_each_source_has_its_rate() {
        let guard = guard(&[]);
        let now = Instant::now();
        for _ in 0..3 {
            assert!(guard.admit(address("192.0.2.1"), now).is_ok());
        }
        assert_eq!(
            guard.admit(address("192.0.2.1"), now).unwrap_err().status(),
            429
        );
        assert!(guard.admit(address("192.0.2.2"), now).is_ok());
    }

    #[test]
    fn wrong_secrets_lock_a_source_out_for_a_while() {
        let guard = guard(&[]);
        let peer = address("192.0.2.9");
        for _ in 0..2 {
            assert_eq!(guard.check(b"wrong", peer).unwrap_err().status(), 401);
        }
        assert_eq!(guard.check(b"wrong", peer).unwrap_err().status(), 429);
        assert_eq!(guard.admit(peer, Instant::now()).unwrap_err().status(), 429);
    }
}
