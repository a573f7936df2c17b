//! An issuer of tokens for the tests: its keys, its tokens, and the address
//! where it publishes the public halves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, extract::State, routing::get};
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use parking_lot::Mutex;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// A pair of keys that was made for these tests and is used nowhere else.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) algorithm: Algorithm,
    private: &'static str,
    pub(crate) public: &'static str,
}

macro_rules! pair {
    ($name:ident, $algorithm:ident, $file:literal) => {
        pub(crate) const $name: Pair = Pair {
            algorithm: Algorithm::$algorithm,
            private: include_str!(concat!("keys/", $file, ".pem")),
            public: include_str!(concat!("keys/", $file, ".pub.pem")),
        };
    };
}

pair!(RSA, RS256, "rsa-first");
pair!(OTHER_RSA, RS256, "rsa-second");
pair!(EC, ES256, "ec");
pair!(ED, EdDSA, "ed");

impl Pair {
    fn encoding(&self) -> EncodingKey {
        let pem = self.private.as_bytes();
        match self.algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem),
            _ => EncodingKey::from_ed_pem(pem),
        }
        .unwrap()
    }

    /// A token of user 42 for ten minutes.
    pub(crate) fn token(&self, kid: Option<&str>) -> String {
        self.token_of(kid, &json!({"sub": "42", "exp": in_seconds(600)}))
    }

    pub(crate) fn token_of(&self, kid: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = kid.map(str::to_owned);
        encode(&header, claims, &self.encoding()).unwrap()
    }

    /// The public half, as it is published.
    pub(crate) fn published(&self, kid: &str) -> Value {
        let jwk = Jwk::from_encoding_key(&self.encoding(), self.algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("sig");
        jwk
    }
}

pub(crate) fn in_seconds(seconds: i64) -> i64 {
    OffsetDateTime::now_utc().unix_timestamp() + seconds
}

/// Where the issuer publishes its keys.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) url: String,
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    pub(crate) async fn start(keys: &[Value]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            url: format!("http://{}/jwks", listener.local_addr().unwrap()),
            answer: Arc::default(),
            asked: Arc::default(),
        };
        issuer.publish(keys);
        let router = Router::new()
            .route("/jwks", get(answer))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        issuer
    }

    /// Publishes these keys and no others.
    pub(crate) fn publish(&self, keys: &[Value]) {
        self.answers(StatusCode::OK, &json!({ "keys": keys }).to_string());
    }

    pub(crate) fn answers(&self, status: StatusCode, body: &str) {
        *self.answer.lock() = (status, body.to_owned());
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(issuer): State<Issuer>) -> (StatusCode, String) {
    issuer.asked.fetch_add(1, Ordering::SeqCst);
    issuer.answer.lock().clone()
}
