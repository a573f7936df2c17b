//! What the worker tells of itself.

use std::time::Duration;

use serde_json::Value;

use crate::{
    hub::{Fault, Hub, PATIENCE, Route},
    worker::Worker,
};

/// Far beyond what an answer from memory takes.
const BOUND: Duration = Duration::from_secs(20);

async fn get(worker: &Worker, path: &str) -> (u16, Value) {
    let url = format!("http://127.0.0.1:{}{path}", worker.port);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn until(worker: &Worker, path: &str, status: u16) -> Value {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            let (given, body) = get(worker, path).await;
            if given == status {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    found
        .await
        .unwrap_or_else(|_| panic!("{path} never answered {status}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_ready_while_the_hub_answers() {
    let mut hub = Hub::start().await;
    let worker = Worker::start(&hub, &[("Worker__Concurrency", "7")]).await;
    let ready = until(&worker, "/health/ready", 200).await;
    assert_eq!(ready["status"], "Healthy");
    assert_eq!(ready["analyser"], "builtin");
    assert_eq!(ready["checks"]["slots"]["data"]["total"], 7);
    assert_eq!(ready["checks"]["breaker"]["data"]["state"], "closed");
    assert!(ready["checks"]["leaseLoop"]["data"]["secondsSinceLastSuccess"].is_number());

    hub.kill().await;
    let body = until(&worker, "/health/ready", 503).await;
    assert_eq!(body["checks"]["hub"]["status"], "Unhealthy");
    assert!(body["checks"]["hub"]["data"]["lastError"].is_string());
    until(&worker, "/health", 503).await;
    assert_eq!(get(&worker, "/health/live").await.0, 200);

    hub.revive().await;
    until(&worker, "/health/ready", 200).await;
    until(&worker, "/health", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_never_answers_is_named_and_hangs_no_answer() {
    let hub = Hub::start().await;
    let fast = [
        ("Worker__PollSeconds", "1"),
        ("WebAPI__TimeoutSeconds", "1"),
    ];
    let worker = Worker::start(&hub, &fast).await;
    until(&worker, "/health/ready", 200).await;
    hub.fail(Route::Lease, (0..1_000).map(|_| Fault::Hang));
    let body = until(&worker, "/health/ready", 503).await;
    assert_eq!(body["checks"]["hub"]["status"], "Unhealthy", "{body}");
    // Each comes from memory, whatever hangs; that it comes is what counts.
    for (path, status) in [
        ("/health", 503),
        ("/api/health", 503),
        ("/health/ready", 503),
        ("/health/live", 200),
    ] {
        let answer = tokio::time::timeout(BOUND, get(&worker, path)).await;
        let (given, body) = answer.unwrap_or_else(|_| panic!("{path} hangs"));
        assert_eq!(given, status, "{path}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_told_and_never_shown() {
    let hub = Hub::start().await;
    hub.fail(Route::Lease, (0..1_000).map(|_| Fault::Status(401, None)));
    let worker = Worker::start(&hub, &[]).await;
    let body = until(&worker, "/health/ready", 503).await.to_string();
    assert!(!body.contains(crate::hub::SECRET));
    let body = tokio::time::timeout(PATIENCE, async {
        loop {
            let body = get(&worker, "/health").await.1;
            if let Some(error) = body["checks"]["hub"]["data"]["lastError"].as_str() {
                return error.to_owned();
            }
        }
    });
    assert!(body.await.unwrap().contains("401"));
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_told_to_prometheus() {
    let hub = Hub::start().await;
    hub.queue(1, crate::photos::leaf());
    let worker = Worker::start(&hub, &[("Worker__Concurrency", "3")]).await;
    let url = format!("http://127.0.0.1:{}/metrics", worker.port);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let figures = async || {
        let answer = client.get(&url).send().await.unwrap();
        answer.text().await.unwrap()
    };
    let counted = tokio::time::timeout(PATIENCE, async {
        loop {
            let text = figures().await;
            if text.contains("tendril_worker_attempts_total{outcome=\"done\"} 1") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let text = counted.await.expect("the attempt is counted");
    for line in [
        "tendril_worker_slots 3.0",
        "tendril_worker_breaker{state=\"closed\"} 1.0",
        "tendril_worker_hub_up 1.0",
        "tendril_worker_attempt_seconds_count 1",
        "tendril_build_info{service=\"analysis-worker\",version=\"0.1.0\"} 1.0",
    ] {
        assert!(text.lines().any(|each| each == line), "{line} in {text}");
    }
    assert_eq!(get(&worker, "/api/health").await.0, 200);
}
