//! The secret, the internal port, and what a restart keeps.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Hub, INTERNAL_SECRET, problem, read};

#[tokio::test]
async fn without_the_secret_there_is_nothing_and_no_hint() {
    let hub = Hub::start().await;
    for (method, path) in [
        (Method::POST, "/internal/notify"),
        (Method::POST, "/internal/jobs/lease"),
        (Method::POST, "/internal/jobs/1/heartbeat"),
        (Method::POST, "/internal/jobs/1/retry"),
        (Method::GET, "/internal/analyses/1/image"),
        (Method::PUT, "/internal/analyses/1/overlay"),
        (Method::GET, "/internal/users/42/connections"),
        (Method::DELETE, "/internal/users/42/connections"),
    ] {
        for secret in [None, Some(""), Some("wrong"), Some(&INTERNAL_SECRET[1..])] {
            let mut request = hub
                .request(method.clone(), path)
                .bearer_auth(hub.token("42"));
            if let Some(secret) = secret {
                request = request.header("X-Internal-Secret", secret);
            }
            problem(request.send().await.unwrap(), 401, None).await;
        }
    }
}

#[tokio::test]
async fn connections_are_listed_and_closed() {
    let hub = Hub::start().await;
    let path = "/internal/users/42/connections";
    let listed = hub.internal(Method::GET, path).send().await.unwrap();
    assert_eq!(read(listed, 200).await, json!({"connections": []}));
    let closed = hub.internal(Method::DELETE, path).send().await.unwrap();
    assert_eq!(read(closed, 200).await, json!({"closed": 0}));
}

#[tokio::test]
async fn internal_routes_leave_the_public_port_for_their_own() {
    let hub = Hub::with(&[("INTERNAL_PORT", "0")]).await;
    assert_ne!(hub.base, hub.internal_base);
    let public = hub
        .post("/internal/notify")
        .header("X-Internal-Secret", INTERNAL_SECRET);
    problem(public.json(&json!({})).send().await.unwrap(), 404, None).await;
    let event = json!({"event": "A", "userId": 1, "payload": null});
    hub.call("/internal/notify", &event, 202).await;
    let health = hub.internal(Method::GET, "/health").send().await.unwrap();
    assert_eq!(health.status(), 200);
    let rest = hub
        .internal(Method::GET, "/api/v1/plantanalyses")
        .send()
        .await
        .unwrap();
    problem(rest, 404, None).await;
}

#[tokio::test]
async fn a_restarted_hub_knows_what_it_knew() {
    // What was accepted is on the disk when the answer is sent; a folder that
    // one hub leaves is taken up by the next.
    let hub = Hub::start().await;
    let id = hub.uploaded("42").await;
    hub.shutdown.kill();
    let mut hub = hub;
    hub.left().await.unwrap();
    let store = hub_api::store::Store::open_for_reading(hub_api::store::StoreOptions::on(
        hub.config.database_location().unwrap(),
    ))
    .await
    .unwrap();
    let user = shared_dto::UserId::from(42);
    assert!(store.analysis_of(&user, id).await.unwrap().is_some());
}
