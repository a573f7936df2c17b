//! A worker that gets its jobs by RabbitMQ: a real broker, and a hub that
//! fails as told.

mod deliveries;
mod hub_away;
mod broker_away;
mod leaving;
mod results;

use std::time::Duration;

use private_services::AmqpClient;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    hub::{Hub, PATIENCE, notifications},
    webhook::Webhook,
    worker::Worker,
};

const REQUESTS: &str = "plant-analysis-requests";
const REQUESTS_DEAD: &str = "plant-analysis-requests.dead-letter";
const RESULTS: &str = "plant-analysis-results";
const RESULTS_DEAD: &str = "plant-analysis-results.dead-letter";

/// Starts a worker that analyses by `webhook` and has a consumer at `url`.
async fn worker(hub: &Hub, url: &str, webhook: &Webhook, more: &[(&str, &str)]) -> Worker {
    let webhook = webhook.url();
    let mut settings = vec![("RABBITMQ_URL", url), ("N8N__WebhookUrl", webhook.as_str())];
    settings.extend(more);
    let worker = Worker::start(hub, &settings).await;
    until_consumer(&worker, "Healthy").await;
    worker
}

/// What the worker says of its health.
async fn report(worker: &Worker) -> Value {
    let url = format!("http://127.0.0.1:{}/health", worker.port);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).send().await.unwrap().json().await.unwrap()
}

/// The consumer's check in it.
async fn consumer(worker: &Worker) -> Value {
    report(worker).await["checks"]["consumer"].clone()
}

async fn until_consumer(worker: &Worker, status: &str) -> Value {
    until(status, async || {
        let check = consumer(worker).await;
        (check["status"] == status).then_some(check)
    })
    .await
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Announces a job, as the hub does.
async fn announce(client: &AmqpClient, job: i64) {
    let message = json!({"jobId": job, "analysisId": 1_000 + job, "readyAt": 1});
    client
        .publish(REQUESTS, message.to_string().as_bytes())
        .await;
}

/// Ends the worker. Nothing that it was given comes back to the queue, and
/// nothing went to the dead letters.
async fn assert_settled(client: &AmqpClient, worker: Worker) {
    worker.leave().await;
    // Deliveries that were not settled are ready again once the channel is gone.
    sleep(Duration::from_millis(200)).await;
    client.until_depth(REQUESTS, 0).await;
    assert_eq!(client.depth(REQUESTS_DEAD).await, Some(0));
}

fn results_of(hub: &Hub, job: i64) -> usize {
    notifications(&hub.calls(), job).len()
}
