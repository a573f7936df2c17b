//! The keys that tokens are verified with, and which algorithm each is for.
//!
//! A key is bound to one algorithm when it is made, so that a public key can
//! never be used as an HMAC secret, whatever a token's header asks for.

use jsonwebtoken::{Algorithm, DecodingKey};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::JwtConfig;

/// More keys than this are no rotation.
const MOST_KEYS: usize = 16;

/// Why a public key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is none of the kinds that are accepted.
    #[error("expected public keys in PEM: RSA, EC on P-256, or Ed25519")]
    Unreadable,
    /// There are too many.
    #[error("expected at most {MOST_KEYS} public keys")]
    TooMany,
}

/// One key and the only algorithm that it verifies.
#[derive(Clone)]
pub struct VerificationKey {
    /// Tokens that name a `kid` are verified by the key of this id, where it has one.
    pub(super) id: Option<Box<str>>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// The key itself stays out of every log.
impl std::fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerificationKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl VerificationKey {
    /// An HS256 key.
    #[must_use]
    pub fn hs256(secret: &SecretString) -> Self {
        let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
        Self {
            id: None,
            algorithm: Algorithm::HS256,
            key,
        }
    }

    /// Whether it may have signed a token with this header. A `kid` is only
    /// compared, never looked up anywhere.
    pub(super) fn fits(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        let named = match (kid, self.id.as_deref()) {
            (Some(wanted), Some(own)) => wanted == own,
            _ => true,
        };
        self.algorithm == algorithm && named
    }
}

/// The keys that the configuration holds; several while one is being replaced.
///
/// # Errors
/// [`KeyError`] where a public key cannot be read.
pub fn configured_keys(config: &JwtConfig) -> Result<Vec<VerificationKey>, KeyError> {
    let secrets = [&config.secret, &config.previous_secret];
    let mut keys: Vec<_> = secrets
        .into_iter()
        .flatten()
        .map(VerificationKey::hs256)
        .collect();
    if let Some(pem) = &config.public_key {
        keys.extend(parse_public_keys(pem)?);
    }
    Ok(keys)
}

/// Reads public keys in PEM, one after the other; the kind of each decides its
/// algorithm.
///
/// # Errors
/// [`KeyError`] for anything else, private keys included.
pub fn parse_public_keys(text: &str) -> Result<Vec<VerificationKey>, KeyError> {
    const END: &str = "PUBLIC KEY-----";
    let mut keys = Vec::new();
    // Each block ends with the second of its two lines of that form.
    let mut rest = text.trim();
    while !rest.is_empty() {
        let begin = rest.find(END).ok_or(KeyError::Unreadable)? + END.len();
        let end = rest[begin..].find(END).ok_or(KeyError::Unreadable)? + begin + END.len();
        if keys.len() == MOST_KEYS {
            return Err(KeyError::TooMany);
        }
        keys.push(parse_public_key(&rest[..end])?);
        rest = rest[end..].trim_start();
    }
    if keys.is_empty() {
        return Err(KeyError::Unreadable);
    }
    Ok(keys)
}

fn parse_public_key(pem: &str) -> Result<VerificationKey, KeyError> {
    let bytes = pem.as_bytes();
    let found = DecodingKey::from_rsa_pem(bytes)
        .map(|key| (Algorithm::RS256, key))
        .or_else(|_| DecodingKey::from_ec_pem(bytes).map(|key| (Algorithm::ES256, key)))
        .or_else(|_| DecodingKey::from_ed_pem(bytes).map(|key| (Algorithm::EdDSA, key)));
    let (algorithm, key) = found.map_err(|_| KeyError::Unreadable)?;
    Ok(VerificationKey {
        id: None,
        algorithm,
        key,
    })
}
