//! Which keys open the hub: configured ones, and those that an issuer publishes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::issuer::{EC, ED, Issuer, OTHER_RSA, RSA, in_seconds};
use crate::{
    client::Client,
    harness::{Hub, read},
};

/// What the hub answers to `token`.
async fn status(hub: &Hub, token: &str) -> u16 {
    let sent = hub.get("/api/v1/notifications/unread-count");
    sent.bearer_auth(token)
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

async fn hub_of(issuer: &Issuer, cooldown: &str) -> Hub {
    Hub::with(&[
        ("Jwt__JwksUrl", &issuer.url),
        ("Jwt__JwksCooldown", cooldown),
        ("Jwt__JwksRefresh", "1h"),
    ])
    .await
}

#[tokio::test]
async fn several_configured_keys_of_each_kind_are_accepted_and_no_other() {
    let all = [RSA.public, EC.public, ED.public].concat();
    let hub = Hub::with(&[("Jwt__PublicKey", &all)]).await;
    for pair in [RSA, EC, ED] {
        assert_eq!(status(&hub, &pair.token(None)).await, 200);
        assert_eq!(status(&hub, &pair.token(Some("any"))).await, 200);
    }
    assert_eq!(status(&hub, &hub.token("42")).await, 200);
    assert_eq!(status(&hub, &OTHER_RSA.token(None)).await, 401);
}

#[tokio::test]
async fn a_key_that_the_issuer_adds_is_found_and_one_that_it_removes_is_forgotten() {
    let issuer = Issuer::start(&[RSA.published("a"), EC.published("b")]).await;
    let hub = hub_of(&issuer, "0").await;
    assert_eq!(status(&hub, &RSA.token(Some("a"))).await, 200);
    assert_eq!(status(&hub, &EC.token(Some("b"))).await, 200);
    // Named wrongly, it fits no key; unnamed, the signature decides.
    assert_eq!(status(&hub, &RSA.token(Some("b"))).await, 401);
    assert_eq!(status(&hub, &RSA.token(None)).await, 200);

    issuer.publish(&[OTHER_RSA.published("c"), ED.published("d")]);
    assert_eq!(status(&hub, &ED.token(Some("d"))).await, 200);
    assert_eq!(status(&hub, &OTHER_RSA.token(Some("c"))).await, 200);
    assert_eq!(status(&hub, &RSA.token(Some("a"))).await, 401);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_does_not_reach_the_issuer() {
    let issuer = Issuer::start(&[RSA.published("a")]).await;
    let hub = hub_of(&issuer, "1h").await;
    assert_eq!(status(&hub, &RSA.token(Some("a"))).await, 200);
    for number in 0..200 {
        let kid = format!("../{number}");
        assert_eq!(status(&hub, &OTHER_RSA.token(Some(&kid))).await, 401);
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn keys_are_kept_while_the_issuer_is_away() {
    let issuer = Issuer::start(&[RSA.published("a")]).await;
    let hub = hub_of(&issuer, "0").await;
    assert_eq!(status(&hub, &RSA.token(Some("a"))).await, 200);
    let large = format!("{{\"keys\":[\"{}\"]}}", "x".repeat(300_000));
    for (code, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, "{}"),
        (StatusCode::OK, "<html>"),
        (StatusCode::OK, "{\"keys\":[]}"),
        (StatusCode::FOUND, "{\"keys\":[]}"),
        (StatusCode::OK, &large),
    ] {
        issuer.answers(code, body);
        let asked = issuer.asked();
        assert_eq!(status(&hub, &EC.token(Some("unknown"))).await, 401);
        assert!(issuer.asked() > asked);
        assert_eq!(status(&hub, &RSA.token(Some("a"))).await, 200);
    }
}

#[tokio::test]
async fn a_hub_that_starts_without_its_issuer_finds_the_keys_later() {
    let issuer = Issuer::start(&[]).await;
    issuer.answers(StatusCode::SERVICE_UNAVAILABLE, "");
    let hub = hub_of(&issuer, "0").await;
    assert_eq!(status(&hub, &RSA.token(Some("a"))).await, 401);
    assert_eq!(health(&hub).await, "Degraded");
    issuer.publish(&[RSA.published("a")]);
    assert_eq!(status(&hub, &RSA.token(Some("a"))).await, 200);
    while health(&hub).await != "Healthy" {
        // The last report is kept for a moment.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What `/health` says of the issuer's keys.
async fn health(hub: &Hub) -> String {
    let report = read(hub.get("/health").send().await.unwrap(), 200).await;
    let checks = report["checks"].as_array().unwrap();
    let keys = checks.iter().find(|check| check["name"] == "keys").unwrap();
    keys["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_published_key_is_for_its_own_algorithm() {
    let secret = json!({"kty": "oct", "k": "c2VjcmV0LXRoYXQtd2FzLXB1Ymxpc2hlZA", "kid": "s"});
    let issuer = Issuer::start(&[RSA.published("a"), secret]).await;
    let hub = hub_of(&issuer, "1h").await;
    let claims = json!({"sub": "42", "exp": in_seconds(600)});
    for secret in [RSA.public, "secret-that-was-published"] {
        for kid in ["a", "s"] {
            let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
            header.kid = Some(kid.to_owned());
            let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
            let forged = jsonwebtoken::encode(&header, &claims, &key).unwrap();
            assert_eq!(status(&hub, &forged).await, 401, "{kid}");
        }
    }
}

#[tokio::test]
async fn a_connection_ends_with_its_token_when_that_is_wanted() {
    let hub = Hub::with(&[
        ("Jwt__PublicKey", ED.public),
        ("Jwt__Leeway", "0"),
        ("SignalR__CloseOnTokenExpiry", "true"),
    ])
    .await;
    let short = ED.token_of(None, &json!({"sub": "42", "exp": in_seconds(2)}));
    let mut client = Client::with_token(&hub, &short).await;
    client.ping().await;
    let close = client.message(7).await;
    assert_eq!(close["allowReconnect"], true);
    let claims = json!({"sub": "operator", "role": "Admin", "exp": in_seconds(2)});
    let short = ED.token_of(None, &claims);
    let mut operator = Client::at(&hub, "/hubs/admin", &short).await;
    let close = operator.message(7).await;
    assert_eq!(close["allowReconnect"], true);
}
