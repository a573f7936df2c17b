//! A JSON Web Key Set (RFC 7517) as keys, without I/O. Keys that are of no use
//! here are left aside, as section 5 of it asks; one bad key spoils no other.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::VerificationKey;

/// More keys than this are looked at by nobody. An issuer has two or three.
const MOST_KEYS: usize = 32;
const LONGEST_KEY_ID: usize = 256;
/// Shorter RSA keys are refused (RFC 7518 section 3.3).
const SHORTEST_MODULUS: usize = 2048 / 8;

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a set that verify signatures here; nothing where the text is no set.
pub(super) fn read(text: &[u8]) -> Option<Vec<VerificationKey>> {
    let document: Document = serde_json::from_slice(text).ok()?;
    let keys = document.keys.into_iter().filter_map(|value| {
        let key: Key = serde_json::from_value(value).ok()?;
        key.verifies()
    });
    Some(keys.take(MOST_KEYS).collect())
}

impl Key {
    /// The key, where it is for signatures and of a kind that is accepted. A
    /// symmetric key is never: who publishes one has published a secret.
    fn verifies(self) -> Option<VerificationKey> {
        let signs = self.purpose.as_deref().is_none_or(|each| each == "sig")
            && self
                .key_ops
                .as_ref()
                .is_none_or(|all| all.iter().any(|each| each == "verify"));
        let (algorithm, name, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (self.n.as_deref()?, self.e.as_deref()?);
                let key = DecodingKey::from_rsa_components(n, e);
                (Algorithm::RS256, "RS256", long_enough(n).then_some(key)?)
            }
            ("EC", Some("P-256")) => {
                let key = DecodingKey::from_ec_components(self.x.as_deref()?, self.y.as_deref()?);
                (Algorithm::ES256, "ES256", key)
            }
            ("OKP", Some("Ed25519")) => {
                let key = DecodingKey::from_ed_components(self.x.as_deref()?);
                (Algorithm::EdDSA, "EdDSA", key)
            }
            _ => return None,
        };
        // RFC 9864 names the same algorithm after its curve.
        let named = self
            .alg
            .as_deref()
            .is_none_or(|alg| alg == name || (name == "EdDSA" && alg == "Ed25519"));
        if !signs || !named {
            return None;
        }
        if self
            .kid
            .as_ref()
            .is_some_and(|id| id.len() > LONGEST_KEY_ID)
        {
            return None;
        }
        Some(VerificationKey {
            id: self.kid.map(String::into_boxed_str),
            algorithm,
            key: key.ok()?,
        })
    }
}

fn long_enough(modulus: &str) -> bool {
    let bytes = URL_SAFE_NO_PAD.decode(modulus).unwrap_or_default();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.len() - zeros >= SHORTEST_MODULUS
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An Ed25519 key (RFC 8037, appendix A.2).
    const ED25519: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn ids(set: &Value) -> Vec<String> {
        let keys = read(set.to_string().as_bytes()).unwrap();
        keys.iter()
            .map(|key| key.id.as_deref().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn keys_of_other_kinds_and_purposes_are_left_aside() {
        let modulus = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xab; bytes]);
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": ED25519, "kid": "ed"},
            {"kty": "OKP", "crv": "Ed25519", "x": ED25519, "kid": "for-encryption", "use": "enc"},
            {"kty": "OKP", "crv": "Ed25519", "x": ED25519, "kid": "for-signing", "key_ops": ["sign"]},
            {"kty": "OKP", "crv": "Ed25519", "x": ED25519, "kid": "of-another-algorithm", "alg": "HS256"},
            {"kty": "OKP", "crv": "Ed448", "x": ED25519, "kid": "ed448"},
            {"kty": "oct", "k": "c2VjcmV0", "kid": "a-secret", "alg": "HS256"},
            {"kty": "RSA", "n": modulus(256), "e": "AQAB", "kid": "rsa", "alg": "RS256", "use": "sig"},
            {"kty": "RSA", "n": modulus(128), "e": "AQAB", "kid": "short"},
            {"kty": "RSA", "n": modulus(256), "e": "AQAB", "kid": "pss", "alg": "PS256"},
            {"kty": "EC", "crv": "P-384", "x": ED25519, "y": ED25519, "kid": "p384"},
            {"kty": "EC", "crv": "P-256", "x": ED25519, "kid": "half"},
            {"kty": 7}, "nothing", null,
        ]});
        assert_eq!(ids(&set), ["ed", "rsa"]);
    }

    #[test]
    fn what_is_no_set_is_told_from_an_empty_one() {
        assert!(read(b"<html>").is_none());
        assert!(read(b"{}").is_none());
        assert!(read(b"{\"keys\":{}}").is_none());
        assert!(read(b"{\"keys\":[]}").is_some_and(|keys| keys.is_empty()));
    }

    #[test]
    fn more_keys_than_are_looked_at_cost_nothing_more() {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": ED25519});
        let set = json!({"keys": vec![key; 100]});
        assert_eq!(read(set.to_string().as_bytes()).unwrap().len(), MOST_KEYS);
    }
}
