//! Verifies bearer tokens (RFC 7519, with the advice of RFC 8725): the
//! algorithm is the key's and never the token's choice, `exp` must be there
//! and be a number, issuer and audience must match where they are configured,
//! and a token that demands extensions or brings its own keys is refused.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};

use super::{Jwks, KeyError, Principal, VerificationKey, claims::Claims, configured_keys};
use crate::config::JwtConfig;

/// A longer text is no token; no byte of it is decoded.
const LONGEST_TOKEN: usize = 16 * 1024;

/// What keys are for (see [`VerificationKey`]); a token by any other has no key.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::HS256,
    Algorithm::RS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];

/// Why a token is refused. For logs and counters: a caller is only told 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token was sent.
    #[error("no token")]
    Missing,
    /// The text is no token, or its header asks for what is never done.
    #[error("malformed token")]
    Malformed,
    /// No key is for the token's algorithm, or none fits its signature.
    #[error("bad signature")]
    Signature,
    /// The token names a key that its issuer does not publish, or not yet.
    #[error("unknown key")]
    UnknownKey,
    /// `exp` has passed.
    #[error("expired token")]
    Expired,
    /// `nbf` has not come.
    #[error("token is not valid yet")]
    NotYet,
    /// `iss` or `aud` is missing or another one.
    #[error("token of another issuer or for another audience")]
    Origin,
    /// A claim is missing or has no meaning.
    #[error("unusable claims")]
    Claims,
}

/// Verifies tokens with the configured keys and rules.
#[derive(Debug, Clone)]
pub struct Verifier {
    configured: Vec<VerificationKey>,
    published: Option<Arc<Jwks>>,
    /// What a token by each algorithm must keep to.
    rules: [Validation; ALGORITHMS.len()],
}

impl Verifier {
    /// A verifier by configuration, and with the keys that an issuer publishes.
    ///
    /// # Errors
    /// [`KeyError`] where a configured key cannot be read.
    pub fn new(config: &JwtConfig, published: Option<Arc<Jwks>>) -> Result<Self, KeyError> {
        Ok(Self {
            configured: configured_keys(config)?,
            published,
            rules: ALGORITHMS.map(|algorithm| rules(config, algorithm)),
        })
    }

    /// The bearer of `token`. Where it names a key that is not known, the
    /// issuer's keys are looked at again first, at a bounded rate.
    ///
    /// # Errors
    /// [`Refusal`] says which rule it breaks.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, Refusal> {
        let seen = self.published.as_ref().map(|jwks| (jwks, jwks.keys()));
        match (self.verify(token), seen) {
            (Err(Refusal::UnknownKey), Some((jwks, seen))) if jwks.look_again(&seen).await => {
                self.verify(token)
            }
            (verified, _) => verified,
        }
    }

    /// The bearer of `token`, by the keys that are known.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub fn verify(&self, token: &str) -> Result<Principal, Refusal> {
        let header = header(token)?;
        let place = ALGORITHMS.iter().position(|known| *known == header.alg);
        let rules = &self.rules[place.ok_or(Refusal::Signature)?];
        let published = self.published.as_ref().map(|jwks| jwks.keys());
        let published = published.as_deref().unwrap_or_default();
        let kid = header.kid.as_deref();
        let candidates = self.configured.iter().chain(published);
        for key in candidates.filter(|key| key.fits(header.alg, kid)) {
            match decode::<Claims>(token, &key.key, rules) {
                Ok(data) => return data.claims.into_principal().ok_or(Refusal::Claims),
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
                Err(error) => return Err(refusal(error.kind())),
            }
        }
        // No secret is ever published, so that HS256 is no reason to look again.
        let unknown = header.alg != Algorithm::HS256
            && self.published.is_some()
            && !published.iter().any(|key| key.fits(header.alg, kid));
        Err(if unknown {
            Refusal::UnknownKey
        } else {
            Refusal::Signature
        })
    }
}

fn rules(config: &JwtConfig, algorithm: Algorithm) -> Validation {
    let mut rules = Validation::new(algorithm);
    let mut required = vec!["exp"];
    rules.leeway = config.leeway.as_secs();
    rules.validate_nbf = true;
    // Setting an audience or issuer alone would still accept a token without one.
    match &config.audience {
        Some(audience) => {
            rules.set_audience(&[audience]);
            required.push("aud");
        }
        None => rules.validate_aud = false,
    }
    if let Some(issuer) = &config.issuer {
        rules.set_issuer(&[issuer]);
        required.push("iss");
    }
    rules.set_required_spec_claims(&required);
    rules
}

/// The header of `token`, where it asks for nothing that is never done.
fn header(token: &str) -> Result<Header, Refusal> {
    if token.len() > LONGEST_TOKEN {
        return Err(Refusal::Malformed);
    }
    let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
    // RFC 7515 section 4.1.11: what is critical and not understood is
    // refused. A key that the token itself brings or points to proves nothing.
    let foreign = header.crit.is_some()
        || header.jku.is_some()
        || header.jwk.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some();
    if foreign {
        return Err(Refusal::Malformed);
    }
    Ok(header)
}

fn refusal(kind: &ErrorKind) -> Refusal {
    match kind {
        ErrorKind::ExpiredSignature => Refusal::Expired,
        ErrorKind::ImmatureSignature => Refusal::NotYet,
        ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => Refusal::Origin,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" || claim == "iss" => {
            Refusal::Origin
        }
        ErrorKind::MissingRequiredClaim(_)
        | ErrorKind::InvalidClaimFormat(_)
        | ErrorKind::InvalidSubject
        | ErrorKind::Json(_) => Refusal::Claims,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => Refusal::Signature,
        _ => Refusal::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use serde_json::{Value, json};
    use sha2::Sha256;

    use super::*;

    const SECRET: &str = "a secret of more than thirty-two characters";

    fn no_keys() -> JwtConfig {
        JwtConfig {
            secret: None,
            previous_secret: None,
            public_key: None,
            jwks_url: None,
            jwks_refresh: std::time::Duration::from_secs(600),
            jwks_cooldown: std::time::Duration::from_secs(30),
            issuer: None,
            audience: None,
            leeway: std::time::Duration::from_secs(5),
        }
    }

    fn verifier(issuer: Option<&str>, audience: Option<&str>) -> Verifier {
        let config = JwtConfig {
            secret: Some(SECRET.into()),
            previous_secret: Some("the one before, also longer than thirty-two".into()),
            issuer: issuer.map(str::to_owned),
            audience: audience.map(str::to_owned),
            ..no_keys()
        };
        Verifier::new(&config, None).unwrap()
    }

    fn now() -> i64 {
        time::OffsetDateTime::now_utc().unix_timestamp()
    }

    /// Signed by hand: a library would not write most of these.
    fn token(header: &Value, claims: &str, secret: &str) -> String {
        let head = URL_SAFE_NO_PAD.encode(header.to_string());
        let body = URL_SAFE_NO_PAD.encode(claims);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{head}.{body}").as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        format!("{head}.{body}.{signature}")
    }

    fn signed(claims: &Value) -> String {
        token(
            &json!({"alg": "HS256", "typ": "JWT"}),
            &claims.to_string(),
            SECRET,
        )
    }

    #[test]
    fn the_user_comes_from_the_first_claim_that_is_there() {
        let verifier = verifier(None, None);
        let exp = now() + 60;
        let uri = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";
        for (claims, user) in [
            (json!({"exp": exp, "userId": 42, "sub": "x"}), "42"),
            (json!({"exp": exp, "userId": "42"}), "42"),
            (json!({"exp": exp, "userId": null, "sub": "alice"}), "alice"),
            (json!({"exp": exp, uri: "7", "sub": "x"}), "7"),
            (json!({"exp": exp, "nameid": "8"}), "8"),
            (json!({"exp": exp, "sub": 9}), "9"),
            (json!({"exp": exp as f64 + 0.5, "sub": "alice"}), "alice"),
        ] {
            let principal = verifier.verify(&signed(&claims)).unwrap();
            assert_eq!(principal.user_id.as_str(), user, "{claims}");
        }
    }

    #[test]
    fn roles_come_from_every_claim_of_roles() {
        let uri = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";
        let claims =
            json!({"exp": now() + 60, "sub": "a", "role": "Admin", "roles": ["B", "C"], uri: "D"});
        let principal = verifier(None, None).verify(&signed(&claims)).unwrap();
        for role in ["Admin", "B", "C", "D"] {
            assert!(principal.has_role(role), "{role}");
        }
        assert!(!principal.has_role("admin"));
    }

    #[test]
    fn unusable_claims_are_refused() {
        let verifier = verifier(None, None);
        let exp = now() + 60;
        for claims in [
            json!({"sub": "a"}),
            json!({"exp": "2999-01-01", "sub": "a"}),
            json!({"exp": format!("{exp}"), "sub": "a"}),
            json!({"exp": null, "sub": "a"}),
            json!({"exp": -1, "sub": "a"}),
            json!({"exp": 1e300, "sub": "a"}),
            json!({"exp": 1e15, "sub": "a"}),
            json!({"exp": exp}),
            json!({"exp": exp, "sub": ""}),
            json!({"exp": exp, "sub": {"a": 1}}),
            json!({"exp": exp, "sub": ["a"]}),
            json!({"exp": exp, "sub": 1.5}),
            json!({"exp": exp, "userId": [], "sub": "a"}),
            json!({"exp": exp, "sub": "x".repeat(129)}),
            json!({"exp": exp, "sub": "a\nb"}),
            json!({"exp": exp, "sub": "a", "nbf": "soon"}),
            json!({"exp": exp, "sub": "a", "role": 1}),
            json!({"exp": exp, "sub": "a", "roles": [1]}),
            json!({"exp": exp, "sub": "a", "iss": ["x"]}),
        ] {
            assert_eq!(
                verifier.verify(&signed(&claims)),
                Err(Refusal::Claims),
                "{claims}"
            );
        }
    }

    #[test]
    fn times_are_kept_within_the_leeway() {
        let verifier = verifier(None, None);
        for (claims, expected) in [
            (json!({"exp": now() - 2, "sub": "a"}), None),
            (
                json!({"exp": now() - 30, "sub": "a"}),
                Some(Refusal::Expired),
            ),
            (
                json!({"exp": now() + 60, "nbf": now() + 2, "sub": "a"}),
                None,
            ),
            (
                json!({"exp": now() + 60, "nbf": now() + 30, "sub": "a"}),
                Some(Refusal::NotYet),
            ),
        ] {
            assert_eq!(
                verifier.verify(&signed(&claims)).err(),
                expected,
                "{claims}"
            );
        }
    }

    #[test]
    fn issuer_and_audience_must_be_there_and_match() {
        let verifier = verifier(Some("me"), Some("app"));
        let exp = now() + 60;
        for (issuer, audience, good) in [
            (json!("me"), json!("app"), true),
            (json!("me"), json!(["other", "app"]), true),
            (json!("you"), json!("app"), false),
            (json!(null), json!("app"), false),
            (json!("me"), json!("other"), false),
            (json!("me"), json!(null), false),
            (json!("me"), json!([]), false),
            (json!("me"), json!(""), false),
        ] {
            let claims = json!({"exp": exp, "sub": "a", "iss": issuer, "aud": audience});
            let refused = verifier.verify(&signed(&claims)).err();
            assert_eq!(refused, (!good).then_some(Refusal::Origin), "{claims}");
        }
    }

    #[test]
    fn headers_cannot_choose_the_algorithm_or_the_key() {
        let verifier = verifier(None, None);
        let claims = json!({"exp": now() + 60, "sub": "a"}).to_string();
        for header in [
            json!({"alg": "none"}),
            json!({"alg": "None"}),
            json!({"alg": ""}),
            json!({"typ": "JWT"}),
            json!({"alg": "HS384"}),
            json!({"alg": "RS256"}),
            json!({"alg": "HS256", "crit": ["exp"]}),
            json!({"alg": "HS256", "crit": []}),
            json!({"alg": "HS256", "jku": "https://evil.example/jwks"}),
            json!({"alg": "HS256", "x5u": "https://evil.example/x"}),
            json!({"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}}),
        ] {
            let refused = verifier
                .verify(&token(&header, &claims, SECRET))
                .unwrap_err();
            assert!(
                matches!(refused, Refusal::Malformed | Refusal::Signature),
                "{header}"
            );
        }
        // Any `kid` is only a name to compare with.
        for kid in ["../../etc/passwd", "' OR 1=1 --", "https://evil.example"] {
            let token = token(&json!({"alg": "HS256", "kid": kid}), &claims, SECRET);
            assert!(verifier.verify(&token).is_ok(), "{kid}");
        }
    }

    #[test]
    fn texts_that_are_no_tokens_are_refused() {
        let verifier = verifier(None, None);
        let good = signed(&json!({"exp": now() + 60, "sub": "a"}));
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        for text in [
            "",
            ".",
            "..",
            "a.b.c",
            "null",
            unsigned,
            &format!("{unsigned}."),
            &"a".repeat(20_000),
        ] {
            assert!(verifier.verify(text).is_err());
        }
        let other = token(
            &json!({"alg": "HS256"}),
            &json!({"exp": now() + 60, "sub": "a"}).to_string(),
            "another secret",
        );
        assert_eq!(verifier.verify(&other), Err(Refusal::Signature));
    }

    #[test]
    fn the_previous_secret_is_still_accepted() {
        let claims = json!({"exp": now() + 60, "sub": "a"}).to_string();
        let old = token(
            &json!({"alg": "HS256"}),
            &claims,
            "the one before, also longer than thirty-two",
        );
        assert!(verifier(None, None).verify(&old).is_ok());
    }

    #[test]
    fn a_public_key_verifies_its_own_algorithm_and_is_never_an_hmac_secret() {
        // An Ed25519 pair made for this test.
        const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let config = JwtConfig {
            public_key: Some(PUBLIC.to_owned()),
            ..no_keys()
        };
        let verifier = Verifier::new(&config, None).unwrap();
        let claims = json!({"exp": now() + 60, "sub": "a"}).to_string();
        for header in [json!({"alg": "HS256"}), json!({"alg": "EdDSA"})] {
            let forged = token(&header, &claims, PUBLIC);
            assert!(verifier.verify(&forged).is_err(), "{header}");
        }
    }
}
