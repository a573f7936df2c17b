//! Tokens as the deployed identity service makes them.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// What tokens are signed with, and for whom.
#[derive(Clone)]
pub struct Issuer {
    /// `Jwt__Secret`.
    pub secret: String,
    /// `Jwt__Issuer`.
    pub issuer: String,
    /// `Jwt__Audience`.
    pub audience: String,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl Issuer {
    /// A token for a user, good for an hour.
    #[must_use]
    pub fn token(&self, user: i64) -> String {
        self.sign(&self.claims(user))
    }

    /// A token for an operator.
    #[must_use]
    pub fn operator(&self) -> String {
        let mut claims = self.claims(1);
        claims["role"] = json!("Admin");
        self.sign(&claims)
    }

    /// The claims of [`Issuer::token`], to be changed before signing.
    #[must_use]
    pub fn claims(&self, user: i64) -> Value {
        let now = seconds_now();
        json!({
            "userId": user.to_string(),
            "iss": self.issuer,
            "aud": self.audience,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
        })
    }

    /// Signs any claims (HS256).
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let key = EncodingKey::from_secret(self.secret.as_bytes());
        encode(&Header::new(Algorithm::HS256), claims, &key).expect("a JSON object can be signed")
    }
}

fn seconds_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970")
        .as_secs()
}
