//! The keys that tokens are verified with, and which algorithm each is for.
//!
//! A key is bound to one algorithm when it is made, so that a public key can
//! never be used as an HMAC secret, whatever a token's header asks for.

use jsonwebtoken::{Algorithm, DecodingKey};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::JwtConfig;

/// Why a public key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is none of the kinds that are accepted.
    #[error("expected a public key in PEM: RSA, EC on P-256, or Ed25519")]
    Unreadable,
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
}

/// Where keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// From the configuration; several while one is being replaced.
    Fixed(Vec<VerificationKey>),
}

impl KeySource {
    /// The keys that the configuration names.
    ///
    /// # Errors
    /// [`KeyError`] where the public key cannot be read.
    pub fn from_config(config: &JwtConfig) -> Result<Self, KeyError> {
        let secrets = [&config.secret, &config.previous_secret];
        let mut keys: Vec<_> = secrets
            .into_iter()
            .flatten()
            .map(VerificationKey::hs256)
            .collect();
        if let Some(pem) = &config.public_key {
            keys.push(parse_public_key(pem)?);
        }
        Ok(Self::Fixed(keys))
    }

    /// The keys that may have signed a token with this header. A `kid` is
    /// only compared, never looked up anywhere.
    pub(super) fn candidates<'a>(
        &'a self,
        algorithm: Algorithm,
        kid: Option<&'a str>,
    ) -> impl Iterator<Item = &'a VerificationKey> {
        let Self::Fixed(keys) = self;
        keys.iter().filter(move |key| {
            let named = match (kid, key.id.as_deref()) {
                (Some(wanted), Some(own)) => wanted == own,
                _ => true,
            };
            key.algorithm == algorithm && named
        })
    }
}

/// Reads a public key in PEM; its kind decides the algorithm.
///
/// # Errors
/// [`KeyError::Unreadable`] for anything else, private keys included.
pub fn parse_public_key(pem: &str) -> Result<VerificationKey, KeyError> {
    if !pem.contains("PUBLIC KEY-----") {
        return Err(KeyError::Unreadable);
    }
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
