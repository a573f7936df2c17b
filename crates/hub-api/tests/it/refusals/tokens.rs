//! Bad tokens, and none: of users, of operators, of pages.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    Case,
    process::{HubProcess, SECRET},
};
use crate::edges::issuer::{ED, OTHER_RSA, in_seconds};

const PATH: &str = "/api/v1/notifications/unread-count";
const NEGOTIATE: &str = "/hubs/plantanalysis/negotiate?negotiateVersion=1";

pub(super) fn cases(hub: &HubProcess) -> Vec<Case> {
    let mut cases = without_tokens(hub);
    cases.extend(headers(hub));
    cases.extend(claims(hub));
    cases.extend(elsewhere(hub));
    cases
}

fn without_tokens(hub: &HubProcess) -> Vec<Case> {
    let good = hub.token(&json!({}));
    let with = |value: &str| hub.get(PATH).header("Authorization", value);
    [
        ("no token", hub.get(PATH)),
        ("an empty bearer", with("Bearer ")),
        ("basic credentials", with("Basic NDI6c2VjcmV0")),
        ("another scheme", with(&format!("Token {good}"))),
        ("a token without a scheme", with(&good)),
        (
            "two tokens",
            with(&format!("Bearer {good}")).header("Authorization", format!("Bearer {good}")),
        ),
        (
            "a good token in the address of REST",
            hub.get(&format!("{PATH}?access_token={good}")),
        ),
        ("words", with("Bearer this is no token")),
        ("dots", with("Bearer ..")),
        (
            "a token of 20 kB",
            with(&format!("Bearer {}", "a".repeat(20_000))),
        ),
    ]
    .into_iter()
    .map(|(name, request)| Case { name, request })
    .collect()
}

/// Signed by hand: a library would not write most of these.
fn signed(hub: &HubProcess, header: &Value, claims: &Value, secret: &[u8]) -> String {
    let head = URL_SAFE_NO_PAD.encode(header.to_string());
    let body = URL_SAFE_NO_PAD.encode(claims.to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(format!("{head}.{body}").as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    hub.secret(&format!("{head}.{body}.{signature}"))
}

fn good_claims() -> Value {
    json!({"sub": "42", "iss": "issuer", "aud": "audience", "exp": in_seconds(600)})
}

fn headers(hub: &HubProcess) -> Vec<Case> {
    let by = |header: Value| signed(hub, &header, &good_claims(), SECRET.as_bytes());
    let good = hub.token(&json!({}));
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = unsigned.split_once('.').unwrap();
    let other = URL_SAFE_NO_PAD.encode(json!({"sub": "1", "exp": in_seconds(600)}).to_string());
    let public = ED.public.as_bytes();
    let confused = signed(hub, &json!({"alg": "HS256"}), &good_claims(), public);
    let stranger = signed(
        hub,
        &json!({"alg": "HS256"}),
        &good_claims(),
        b"another secret",
    );
    [
        ("alg none", by(json!({"alg": "none"}))),
        ("alg None", by(json!({"alg": "None"}))),
        ("alg empty", by(json!({"alg": ""}))),
        ("alg missing", by(json!({"typ": "JWT"}))),
        ("alg HS384 by the same secret", by(json!({"alg": "HS384"}))),
        ("alg HS512 by the same secret", by(json!({"alg": "HS512"}))),
        ("alg RS256 by the secret", by(json!({"alg": "RS256"}))),
        ("alg EdDSA by the secret", by(json!({"alg": "EdDSA"}))),
        ("the public key as a secret", confused),
        ("another secret", stranger),
        (
            "another key",
            hub.secret(&OTHER_RSA.token_of(Some("a"), &good_claims())),
        ),
        ("crit", by(json!({"alg": "HS256", "crit": ["exp"]}))),
        (
            "jku",
            by(json!({"alg": "HS256", "jku": "https://evil.example/jwks"})),
        ),
        (
            "x5u",
            by(json!({"alg": "HS256", "x5u": "https://evil.example/cert"})),
        ),
        (
            "jwk",
            by(json!({"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}})),
        ),
        (
            "kid as a path",
            signed(
                hub,
                &json!({"alg": "HS256", "kid": "../../etc/passwd"}),
                &good_claims(),
                b"x",
            ),
        ),
        (
            "kid as SQL",
            signed(
                hub,
                &json!({"alg": "HS256", "kid": "' OR 1=1 --"}),
                &good_claims(),
                b"x",
            ),
        ),
        (
            "kid as an address",
            signed(
                hub,
                &json!({"alg": "HS256", "kid": "https://evil.example"}),
                &good_claims(),
                b"x",
            ),
        ),
        ("no signature", hub.secret(&format!("{unsigned}."))),
        (
            "half a signature",
            hub.secret(&format!("{unsigned}.{}", &signature[..20])),
        ),
        (
            "other claims under the signature",
            hub.secret(&format!("{head}.{other}.{signature}")),
        ),
    ]
    .into_iter()
    .map(|(name, token)| Case {
        name,
        request: hub.get(PATH).bearer_auth(token),
    })
    .collect()
}

fn claims(hub: &HubProcess) -> Vec<Case> {
    let long = "x".repeat(129);
    [
        ("exp missing", json!({"exp": "(none)"})),
        ("exp as a text", json!({"exp": "2999-01-01"})),
        ("exp null", json!({"exp": null})),
        ("exp 1e300", json!({"exp": 1e300})),
        ("exp negative", json!({"exp": -1})),
        ("expired", json!({"exp": in_seconds(-30)})),
        ("nbf to come", json!({"nbf": in_seconds(300)})),
        ("nbf as a text", json!({"nbf": "soon"})),
        ("aud missing", json!({"aud": "(none)"})),
        ("aud of another", json!({"aud": "other"})),
        ("aud empty", json!({"aud": ""})),
        ("aud a list of none", json!({"aud": []})),
        ("iss missing", json!({"iss": "(none)"})),
        ("iss of another", json!({"iss": "other"})),
        ("iss a list", json!({"iss": ["issuer"]})),
        ("no user", json!({"sub": "(none)"})),
        ("user empty", json!({"sub": ""})),
        ("user an object", json!({"sub": {"id": 42}})),
        ("user a fraction", json!({"sub": 4.2})),
        ("user too long", json!({"sub": long})),
        ("user with a line break", json!({"sub": "42\n43"})),
        ("userId a list beside a good sub", json!({"userId": [42]})),
        ("role a number", json!({"role": 1})),
    ]
    .into_iter()
    .map(|(name, changes)| Case {
        name,
        request: hub.get(PATH).bearer_auth(hub.token(&changes)),
    })
    .collect()
}

/// At hubs, at operators' routes, from pages.
fn elsewhere(hub: &HubProcess) -> Vec<Case> {
    let good = hub.token(&json!({}));
    let expired = hub.token(&json!({"exp": in_seconds(-30)}));
    let small = hub.token(&json!({"role": "admin"}));
    let upgrade = |origin: &str| {
        hub.get(&format!("/hubs/plantanalysis?access_token={good}"))
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Origin", origin)
    };
    [
        ("negotiate without a token", hub.post(NEGOTIATE)),
        (
            "negotiate with words",
            hub.post(&format!("{NEGOTIATE}&access_token=words")),
        ),
        (
            "negotiate with an expired token",
            hub.post(&format!("{NEGOTIATE}&access_token={expired}")),
        ),
        (
            "a poll of no connection",
            hub.get(&format!(
                "/hubs/plantanalysis?id=nothing&access_token={good}"
            )),
        ),
        (
            "a foreign page's WebSocket",
            upgrade("https://evil.example"),
        ),
        ("a nameless page's WebSocket", upgrade("null")),
        ("a listed page over http", upgrade("http://app.example.com")),
        (
            "a user at an operator's route",
            hub.get("/api/admin/notifications").bearer_auth(&good),
        ),
        (
            "a role in other letters",
            hub.get("/api/admin/notifications").bearer_auth(&small),
        ),
    ]
    .into_iter()
    .map(|(name, request)| Case { name, request })
    .collect()
}
