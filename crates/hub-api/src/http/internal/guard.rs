//! The guard of internal routes: where a call comes from, how many calls come
//! from there, and whether it knows the secret.

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use shared_dto::notify::INTERNAL_SECRET_HEADER;
use subtle::{Choice, ConstantTimeEq as _};

use crate::{
    auth::{self, Client, Denied, Entrance, Network},
    config::InternalConfig,
    http::{ApiError, problem::Kind},
    limits::RateLimit,
};

/// Sources that are told apart.
const MOST_SOURCES: usize = 10_000;

/// The guard's rules and counts.
#[derive(Debug)]
pub(crate) struct Guard {
    secrets: Vec<Digest>,
    allowed: Vec<Network>,
    calls: RateLimit<IpAddr>,
    wrong_secrets: RateLimit<IpAddr>,
    entrance: Arc<Entrance>,
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
    pub(crate) fn new(config: &InternalConfig, entrance: Arc<Entrance>) -> Self {
        let secrets = [&config.secret, &config.previous_secret];
        Self {
            secrets: secrets.into_iter().flatten().map(digest).collect(),
            allowed: config
                .allowed_ips
                .iter()
                .filter_map(|text| auth::parse_network(text))
                .collect(),
            calls: RateLimit::per_minute(config.requests_per_minute, MOST_SOURCES),
            wrong_secrets: RateLimit::per_minute(config.wrong_secrets_per_minute, MOST_SOURCES),
            entrance,
        }
    }

    /// Whether a call of `client` is looked at at all.
    fn admit(&self, client: Client, now: Instant) -> Result<(), ApiError> {
        if self.is_listed(client) {
            return Ok(());
        }
        let source = auth::rate_key(client.address);
        self.calls.take(source, now).map_err(|wait| {
            self.refuse(Denied::Rate, "too many internal calls", client);
            ApiError::too_many(wait)
        })?;
        self.wrong_secrets.check(source, now).map_err(|wait| {
            self.refuse(Denied::Rate, "too many wrong secrets", client);
            ApiError::too_many(wait)
        })?;
        if self.allowed.is_empty() {
            return Ok(());
        }
        let detail = if client.is_proxy {
            "it comes through a proxy that is not trusted"
        } else {
            "not on the allow-list"
        };
        self.refuse(Denied::Network, detail, client);
        Err(ApiError::new(
            Kind::FORBIDDEN,
            "This address may not call here.",
        ))
    }

    /// Loopback is always on the list. What calls for somebody else is not: it
    /// may be a proxy before which anybody stands.
    pub(crate) fn is_listed(&self, client: Client) -> bool {
        let address = auth::canonical(client.address);
        let listed = || self.allowed.iter().any(|each| each.contains(&address));
        !client.is_proxy && (address.is_loopback() || listed())
    }

    /// Whether `given` is a secret; a wrong one is counted, and after too many
    /// of them a source is not told even that it found the right one.
    pub(crate) fn check(&self, given: &[u8], client: Client) -> Result<(), ApiError> {
        if !self.is_listed(client) {
            let source = auth::rate_key(client.address);
            self.wrong_secrets
                .check(source, Instant::now())
                .map_err(ApiError::too_many)?;
        }
        let given = Sha256::digest(given);
        // Every secret is compared, so that time does not tell which one is near.
        let known = self.secrets.iter().fold(Choice::from(0), |known, secret| {
            known | secret.0.as_slice().ct_eq(given.as_slice())
        });
        if bool::from(known) {
            return Ok(());
        }
        self.refuse(Denied::Secret, "wrong secret", client);
        if !self.is_listed(client) {
            self.wrong_secrets
                .take(auth::rate_key(client.address), Instant::now())
                .map_err(ApiError::too_many)?;
        }
        Err(ApiError::new(
            Kind::WRONG_SECRET,
            "The call was not authorised.",
        ))
    }

    /// Counts and logs a refused call, the only one whose address is logged. A
    /// flood is counted, and logged no more than its rate allows.
    fn refuse(&self, why: Denied, detail: &str, client: Client) {
        let Client { address, .. } = client;
        if self.entrance.denials.note(why, address).is_ok() {
            tracing::warn!(peer = %address, reason = why.name(), detail, "auth.denied: an internal call");
        }
    }
}

fn digest(secret: &SecretString) -> Digest {
    Digest(Sha256::digest(secret.expose_secret().as_bytes()).into())
}

/// A caller that may try: from an address that is allowed, not too often. The
/// deployed contract brings its secret in the body, so it is checked later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdmittedPeer(pub(crate) Client);

impl<S> FromRequestParts<S> for AdmittedPeer
where
    S: Send + Sync,
    Arc<Guard>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let guard = Arc::<Guard>::from_ref(state);
        let Some(client) = guard.entrance.client(parts) else {
            return Err(ApiError::internal(
                "no peer address",
                "guard an internal call",
            ));
        };
        guard.admit(client, Instant::now())?;
        Ok(Self(client))
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
        let AdmittedPeer(client) = AdmittedPeer::from_request_parts(parts, state).await?;
        let given = parts.headers.get(INTERNAL_SECRET_HEADER);
        let given = given.map_or(&[][..], http::HeaderValue::as_bytes);
        Arc::<Guard>::from_ref(state).check(given, client)?;
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    /// By the built-in defaults, but for what is tested here.
    fn guard(allowed: &str) -> Guard {
        let dir = tempfile::tempdir().unwrap();
        let pairs = [
            ("ASPNETCORE_ENVIRONMENT", "Development"),
            ("DATA_DIR", dir.path().to_str().unwrap()),
            ("WebAPI__InternalSecret", "the secret"),
            ("WebAPI__PreviousInternalSecret", "the one before"),
            ("Security__AllowedInternalIPs", allowed),
            ("Security__InternalRequestsPerMinute", "3"),
            ("Security__WrongSecretsPerMinute", "2"),
        ];
        let variables = pairs.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let config = Config::load_from(&Sources {
            config_dir: dir.path().join("none"),
            variables: variables.into(),
        })
        .unwrap();
        let verifier = auth::Verifier::new(&config.jwt, None).unwrap();
        let entrance = Arc::new(Entrance::new(&config, verifier));
        Guard::new(&config.internal, entrance)
    }

    fn client(text: &str) -> Client {
        Client {
            address: text.parse().unwrap(),
            is_proxy: false,
        }
    }

    fn status(result: Result<(), ApiError>) -> u16 {
        result.unwrap_err().status().as_u16()
    }

    #[test]
    fn both_secrets_open_and_nothing_else_does() {
        let guard = guard("");
        let peer = client("127.0.0.1");
        assert!(guard.check(b"the secret", peer).is_ok());
        assert!(guard.check(b"the one before", peer).is_ok());
        for wrong in [&b""[..], b"the secre", b"the secret ", b"THE SECRET"] {
            assert_eq!(status(guard.check(wrong, peer)), 401);
        }
    }

    #[test]
    fn sources_on_the_list_are_unlimited_and_others_are_refused() {
        let guard = guard("10.0.0.0/8");
        let now = Instant::now();
        for _ in 0..10 {
            assert!(guard.admit(client("::ffff:10.1.1.1"), now).is_ok());
            assert!(guard.admit(client("::1"), now).is_ok());
        }
        assert_eq!(status(guard.admit(client("192.0.2.1"), now)), 403);
    }

    #[test]
    fn who_calls_for_somebody_else_has_no_right_by_its_own_address() {
        let now = Instant::now();
        for address in ["127.0.0.1", "10.1.1.1"] {
            let proxy = Client {
                is_proxy: true,
                ..client(address)
            };
            assert_eq!(status(guard("10.0.0.0/8").admit(proxy, now)), 403);
            let open = guard("");
            for _ in 0..3 {
                assert!(open.admit(proxy, now).is_ok());
            }
            assert_eq!(status(open.admit(proxy, now)), 429);
        }
    }

    #[test]
    fn without_a_list_each_source_has_its_rate() {
        let guard = guard("");
        let now = Instant::now();
        for _ in 0..3 {
            assert!(guard.admit(client("192.0.2.1"), now).is_ok());
        }
        assert_eq!(status(guard.admit(client("192.0.2.1"), now)), 429);
        assert!(guard.admit(client("192.0.2.2"), now).is_ok());
    }

    #[test]
    fn wrong_secrets_lock_a_source_out_for_a_while() {
        let guard = guard("");
        let peer = client("192.0.2.9");
        for _ in 0..2 {
            assert_eq!(status(guard.check(b"wrong", peer)), 401);
        }
        assert_eq!(status(guard.check(b"wrong", peer)), 429);
        assert_eq!(status(guard.admit(peer, Instant::now())), 429);
    }

    #[test]
    fn refused_calls_are_counted() {
        let guard = guard("10.0.0.0/8");
        let _ = guard.admit(client("192.0.2.1"), Instant::now());
        let _ = guard.check(b"wrong", client("127.0.0.1"));
        let counts: Vec<_> = guard.entrance.denials.counts().collect();
        assert!(counts.contains(&(Denied::Network, 1)) && counts.contains(&(Denied::Secret, 1)));
    }
}
