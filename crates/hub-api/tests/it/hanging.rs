//! Dependencies that take connections and never answer: `/health` and its kin
//! answer all the same, and name what hangs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{future::Future, time::Duration};

use private_services::{Postgres, RabbitMq, Redis};
use reqwest::Method;
use serde_json::Value;
use tokio::{net::TcpListener, time::timeout};

use crate::harness::{Hub, read};

/// Far beyond every deadline of a check: an answer that takes longer hangs.
const BOUND: Duration = Duration::from_secs(20);

/// Until something that is frozen was noticed, or is back.
const PATIENCE: Duration = Duration::from_secs(90);

async fn answers<T>(path: &str, answer: impl Future<Output = T>) -> T {
    let answer = timeout(BOUND, answer).await;
    answer.unwrap_or_else(|_| panic!("{path} hangs"))
}

/// Asks one path.
async fn ask(hub: &Hub, path: &str) -> (u16, Value) {
    let asked = async {
        let answer = hub.get(path).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, read(answer, status).await)
    };
    answers(path, asked).await
}

fn status_of<'a>(report: &'a Value, name: &str) -> &'a str {
    let mut checks = report["checks"].as_array().unwrap().iter();
    let check = checks.find(|check| check["name"] == name);
    check.unwrap_or_else(|| panic!("no {name} in {report}"))["status"]
        .as_str()
        .unwrap()
}

/// Waits until `/health` calls `name` so.
async fn until(hub: &Hub, name: &str, status: &str) {
    let change = async {
        while status_of(&ask(hub, "/health").await.1, name) != status {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let changed = timeout(PATIENCE, change).await;
    changed.unwrap_or_else(|_| panic!("{name} never becomes {status}"));
}

/// Every path answers at once, however many ask; the reports have `code`, and
/// call `names` by `status` and everything else healthy.
async fn all_answer(hub: &Hub, code: u16, names: &[&str], status: &str) {
    let (health, old, ready, live, signalr) = tokio::join!(
        ask(hub, "/health"),
        ask(hub, "/api/health"),
        ask(hub, "/health/ready"),
        ask(hub, "/health/live"),
        ask(hub, "/health/signalr"),
    );
    for (given, report) in [health, old, ready] {
        assert_eq!(given, code, "{report}");
        assert_eq!(report["status"], status, "{report}");
        for check in report["checks"].as_array().unwrap() {
            let hangs = names.iter().any(|name| check["name"] == *name);
            let expected = if hangs { status } else { "Healthy" };
            assert_eq!(check["status"], expected, "{check} in {report}");
            assert!(!check["description"].as_str().unwrap().is_empty());
        }
        for name in names {
            assert_eq!(status_of(&report, name), status);
        }
    }
    assert_eq!((live.0, &live.1["status"]), (200, &"Healthy".into()));
    assert_eq!((signalr.0, &signalr.1["status"]), (200, &"Healthy".into()));
}

#[tokio::test]
async fn a_frozen_database_is_named_and_hangs_no_answer() {
    let mut server = Postgres::start().await.unwrap();
    let url = server.new_database().await;
    let hub = Hub::with(&[("DATABASE_URL", &url)]).await;
    until(&hub, "database", "Healthy").await;
    server.process.freeze().await.unwrap();
    until(&hub, "database", "Unhealthy").await;
    // Requests that wait for it are in nobody's way.
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let list = hub.by("42", Method::GET, "/api/v1/notifications");
            tokio::spawn(list.send())
        })
        .collect();
    for _ in 0..3 {
        all_answer(&hub, 503, &["database", "jobs"], "Unhealthy").await;
    }
    let scraped = answers("/metrics", hub.get("/metrics").send()).await;
    let figures = scraped.unwrap().text().await.unwrap();
    assert!(figures.contains("\ntendril_database_up 0.0\n"));
    for request in waiting {
        read(answers("a request", request).await.unwrap().unwrap(), 503).await;
    }
    server.process.thaw().await.unwrap();
    until(&hub, "database", "Healthy").await;
    until(&hub, "jobs", "Healthy").await;
    assert_eq!(ask(&hub, "/health/ready").await.0, 200);
}

#[tokio::test]
async fn a_frozen_redis_is_named_and_hangs_no_answer() {
    let mut redis = Redis::start().await.unwrap();
    let url = redis.url();
    let hub = Hub::with(&[("REDIS_URL", &url), ("UseRedis", "true")]).await;
    until(&hub, "redis", "Healthy").await;
    redis.process.freeze().await.unwrap();
    until(&hub, "redis", "Degraded").await;
    all_answer(&hub, 200, &["redis"], "Degraded").await;
    redis.process.thaw().await.unwrap();
    until(&hub, "redis", "Healthy").await;
}

#[tokio::test]
async fn a_frozen_broker_is_named_and_hangs_no_answer() {
    let mut rabbit = RabbitMq::start().await.unwrap();
    let url = rabbit.url();
    let hub = Hub::with(&[("RABBITMQ_URL", &url), ("RabbitMq__Heartbeat", "1")]).await;
    until(&hub, "broker", "Healthy").await;
    rabbit.process.freeze().await.unwrap();
    until(&hub, "broker", "Degraded").await;
    all_answer(&hub, 200, &["broker"], "Degraded").await;
    rabbit.process.thaw().await.unwrap();
    until(&hub, "broker", "Healthy").await;
}

#[tokio::test]
async fn what_never_answers_from_the_start_is_named_as_well() {
    // The system takes the connections; nobody reads from them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let hub = Hub::with(&[
        ("REDIS_URL", &format!("redis://{address}")),
        ("UseRedis", "true"),
        ("RABBITMQ_URL", &format!("amqp://{address}")),
        ("Jwt__JwksUrl", &format!("http://{address}/keys")),
        ("S3__Endpoint", &format!("http://{address}")),
        ("S3__Bucket", "photos"),
        ("S3__AccessKey", "test"),
        ("S3__SecretKey", "a secret of the store"),
    ])
    .await;
    let names = ["redis", "broker", "keys", "images"];
    for name in names {
        until(&hub, name, "Degraded").await;
    }
    all_answer(&hub, 200, &names, "Degraded").await;
}
