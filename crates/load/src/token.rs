//! Tokens of the users that connect: one that was given, or one signed for
//! each user (HS256, RFC 7515) with any claims.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;

/// Signed tokens are good for so long, in seconds: longer than any run.
const LIFETIME: u64 = 26 * 60 * 60;
/// {"alg":"HS256","typ":"JWT"}
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// Where tokens come from.
#[derive(Clone)]
pub(crate) enum Tokens {
    /// The server asks for none.
    None,
    /// All connections have this one.
    Given(String),
    /// Each user has one of its own.
    Signed {
        secret: Vec<u8>,
        claims: Map<String, Value>,
    },
}

impl Tokens {
    /// The token of `user`.
    pub(crate) fn of(&self, user: &str) -> Option<String> {
        match self {
            Self::None => None,
            Self::Given(token) => Some(token.clone()),
            Self::Signed { secret, claims } => Some(sign(secret, claims, user)),
        }
    }
}

/// Secrets and tokens are in no output.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Given(_) => "Given(..)",
            Self::Signed { .. } => "Signed(..)",
        })
    }
}

/// `claims` win over those that are set here.
fn sign(secret: &[u8], claims: &Map<String, Value>, user: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut all = Map::new();
    all.insert("userId".to_owned(), user.into());
    all.insert("sub".to_owned(), user.into());
    all.insert("exp".to_owned(), (now + LIFETIME).into());
    all.extend(claims.clone());
    let payload = URL_SAFE_NO_PAD.encode(Value::Object(all).to_string());
    let signed = format!("{HEADER}.{payload}");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(signed.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{signed}.{signature}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_token_names_its_user_and_the_claims_given() {
        let claims = serde_json::from_str(r#"{"iss":"me","sub":"other"}"#).unwrap();
        let tokens = Tokens::Signed {
            secret: b"secret".to_vec(),
            claims,
        };
        let token = tokens.of("7").unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
        assert_eq!(header["alg"], "HS256");
        let payload: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!(payload["userId"], "7");
        assert_eq!(payload["iss"], "me");
        assert_eq!(payload["sub"], "other");
        assert_eq!(format!("{tokens:?}"), "Signed(..)");
    }
}
