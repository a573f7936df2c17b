//! Jobs over RabbitMQ, as the hub sees it: real hubs and a real broker. What
//! workers do is done here by hand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod relay;
mod trouble;
mod claim;
mod dead_letters;
mod results;

use std::time::Duration;

use private_services::AmqpClient;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::harness::Hub;

const REQUESTS: &str = "plant-analysis-requests";

/// How long a test waits for anything at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// A hub whose queues are declared.
async fn hub(url: &str, more: &[(&str, &str)]) -> Hub {
    let hub = early_hub(url, more).await;
    until_health(&hub, "Healthy", |_| true).await;
    hub
}

async fn early_hub(url: &str, more: &[(&str, &str)]) -> Hub {
    let mut settings = vec![("RABBITMQ_URL", url), ("RabbitMq__Heartbeat", "1")];
    settings.extend(more);
    Hub::with(&settings).await
}

/// The job that the next message announces.
async fn announced(client: &AmqpClient) -> Value {
    serde_json::from_slice(&client.take(REQUESTS).await).unwrap()
}

/// A claim of the kind that workers make; its token is told by `who`.
async fn claim(hub: &Hub, job: &Value, who: char) -> Value {
    let request = json!({"workerId": "w1", "token": who.to_string().repeat(32)});
    let path = format!("/internal/jobs/{}/claim", job["jobId"]);
    hub.call(&path, &request, 200).await
}

/// The broker's check in the hub's health.
async fn health(hub: &Hub) -> Value {
    let report: Value = hub
        .get("/health")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "broker");
    check.expect("a check of the broker").clone()
}

/// Waits until the hub's health says `status` of the broker and `pick` agrees.
async fn until_health(hub: &Hub, status: &str, pick: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let check = health(hub).await;
        if check["status"] == status && pick(&check["data"]) {
            return;
        }
        assert!(Instant::now() < deadline, "{check}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Events and analyses in the log of `user`.
async fn log(hub: &Hub, user: &str) -> Vec<(String, i64)> {
    let page = hub.get_by(user, "/api/v1/notifications").await;
    let items = page["items"].as_array().unwrap().clone();
    items
        .iter()
        .map(|item| {
            let event = item["event"].as_str().unwrap().to_owned();
            (event, item["payload"]["analysisId"].as_i64().unwrap())
        })
        .collect()
}

/// Waits until the log of `user` has `count` entries.
async fn until_logged(hub: &Hub, user: &str, count: usize) -> Vec<(String, i64)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let entries = log(hub, user).await;
        if entries.len() >= count {
            return entries;
        }
        assert!(Instant::now() < deadline, "{entries:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The outcome of a claimed job.
async fn complete(hub: &Hub, user: &str, job: &Value) {
    let body = json!({
        "userId": user,
        "notification": {"analysisId": job["analysisId"], "status": "Completed"},
        "attempt": {"jobId": job["jobId"], "token": job["token"]},
        "result": {"overallHealthScore": 70},
    });
    let sent = hub.internal(Method::POST, "/internal/notify").json(&body);
    assert_eq!(sent.send().await.unwrap().status(), 202);
}
