//! What the hub tells of itself: figures for Prometheus, and as JSON.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::HashMap, time::Duration};

use reqwest::Method;
use serde_json::json;
use shared_dto::UserId;

use crate::{
    client::Client,
    harness::{Hub, problem, read},
};

impl Hub {
    /// Every sample by its name and labels.
    async fn figures(&self) -> HashMap<String, f64> {
        let answer = self.get("/metrics").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        let text = answer.text().await.unwrap();
        assert!(text.ends_with("# EOF\n"));
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        samples.collect()
    }

    /// The figure, once it is what is expected.
    async fn reaches(&self, name: &str, expected: f64) {
        let wait = async {
            while self.figures().await.get(name) != Some(&expected) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        let figures = self.figures().await;
        assert!(waited.is_ok(), "{name} is {:?}", figures.get(name));
    }

    /// So many connections of clients were closed, for whatever reason.
    async fn closed_reaches(&self, expected: f64) {
        let wait = async {
            loop {
                let figures = self.figures().await;
                let closed = figures.iter().filter(|(name, _)| {
                    name.starts_with("tendril_signalr_connections_closed_total")
                        && name.contains("plantanalysis")
                });
                if closed.map(|(_, count)| count).sum::<f64>() >= expected {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited.expect("the connections are closed");
    }

    async fn admin(&self, path: &str) -> serde_json::Value {
        let sent = self.get(path).bearer_auth(self.operator()).send();
        read(sent.await.unwrap(), 200).await
    }

    /// The token of an operator.
    fn operator(&self) -> String {
        let admin = UserId::new("operator").unwrap();
        let roles = ["Admin".to_owned()];
        let lifetime = Duration::from_secs(600);
        hub_api::auth::mint(&self.config, &admin, &roles, lifetime).unwrap()
    }
}

#[tokio::test]
async fn what_clients_and_workers_do_is_counted() {
    let hub = Hub::start().await;
    let mut client = Client::connect(&hub, "42").await;
    client
        .send("{\"type\":1,\"target\":\"Nothing-like-it-4711\",\"arguments\":[]}\u{1e}")
        .await;
    client.ping().await;
    // From here on entries are sent to it as they come.
    client
        .send("{\"type\":1,\"invocationId\":\"1\",\"target\":\"Resume\",\"arguments\":[0]}\u{1e}")
        .await;
    client.message(3).await;
    hub.uploaded("42").await;
    let job = hub.leased().await;
    let notification = json!({"analysisId": job["analysisId"], "status": "Completed"});
    let attempt = json!({"jobId": job["jobId"], "token": job["token"]});
    let body = json!({"userId": 42, "notification": notification, "attempt": attempt,
        "result": {"overallHealthScore": 71, "primaryConcern": "rust"}});
    hub.call("/internal/notify", &body, 202).await;
    let body = json!({"event": "ReportReady", "userId": 7, "payload": {}});
    hub.call("/internal/notify", &body, 202).await;

    let socket = r#"hub="plantanalysis",transport="WebSockets""#;
    for (name, expected) in [
        (
            format!("tendril_signalr_connections{{{socket},protocol=\"json\"}}"),
            1.0,
        ),
        (
            r#"signalr_server_active_connections{otel_scope_name="Microsoft.AspNetCore.Http.Connections",signalr_transport="web_sockets"}"#.to_owned(),
            1.0,
        ),
        (
            r#"tendril_signalr_invocations_total{hub="plantanalysis",method="Ping",outcome="completed"}"#.to_owned(),
            1.0,
        ),
        (
            r#"tendril_signalr_invocations_total{hub="plantanalysis",method="unknown",outcome="refused"}"#.to_owned(),
            1.0,
        ),
        (r#"tendril_notifications_total{outcome="delivered"}"#.to_owned(), 1.0),
        (r#"tendril_notifications_total{outcome="waiting"}"#.to_owned(), 1.0),
        (r#"tendril_job_attempts_total{outcome="begun"}"#.to_owned(), 1.0),
        (r#"tendril_job_attempts_total{outcome="completed"}"#.to_owned(), 1.0),
        (
            r#"tendril_http_requests_total{method="POST",route="/internal/notify",code="202"}"#.to_owned(),
            2.0,
        ),
        (r#"tendril_jobs{state="leased"}"#.to_owned(), 0.0),
        ("tendril_database_up".to_owned(), 1.0),
        (r#"tendril_build_info{service="hub-api",version="0.1.0"}"#.to_owned(), 1.0),
    ] {
        hub.reaches(&name, expected).await;
    }
    // The client answers the Ping frame behind the notification.
    client.event("ReceiveAnalysisCompleted").await;
    client.ping().await;
    hub.reaches(r#"tendril_notification_receipts_total{source="pong"}"#, 1.0)
        .await;
    hub.reaches("tendril_notification_delivery_seconds_count", 1.0)
        .await;
    drop(client);
    hub.reaches(
        &format!("tendril_signalr_connections_closed_total{{{socket},reason=\"transport-lost\"}}"),
        1.0,
    )
    .await;
    let figures = hub.figures().await;
    let ids = ["42", "4711", "Nothing"];
    let labels: Vec<&String> = figures
        .keys()
        .filter(|name| {
            let labels = name.split_once('{').map_or("", |(_, labels)| labels);
            let mut values = labels.split('"').skip(1).step_by(2);
            values.any(|value| ids.iter().any(|id| value.contains(id)))
        })
        .collect();
    assert!(labels.is_empty(), "{labels:?}");
}

#[tokio::test]
async fn whoever_is_refused_and_tries_again_does_not_reconnect() {
    let hub = Hub::with(&[("SignalR__MaxConnectionsPerUser", "1")]).await;
    let mut there = Client::connect(&hub, "42").await;
    there.ping().await;
    for closed in [1.0, 2.0, 3.0] {
        let mut refused = Client::connect(&hub, "42").await;
        refused.message(7).await;
        drop(refused);
        hub.closed_reaches(closed).await;
    }
    let name = r#"tendril_signalr_reconnects_total{hub="plantanalysis"}"#;
    drop(there);
    hub.closed_reaches(4.0).await;
    hub.reaches(name, 0.0).await;
    let mut again = Client::connect(&hub, "42").await;
    again.ping().await;
    hub.reaches(name, 1.0).await;
}

#[tokio::test]
async fn a_call_that_is_repeated_is_counted_once() {
    let hub = Hub::with(&[("Jobs__MaxAttempts", "1")]).await;
    hub.uploaded("42").await;
    let begun = r#"tendril_job_attempts_total{outcome="begun"}"#;
    let claim = json!({"workerId": "w1", "token": "x".repeat(32)});
    let claimed = hub.call("/internal/jobs/1/claim", &claim, 200).await;
    let again = hub.call("/internal/jobs/1/claim", &claim, 200).await;
    assert_eq!(again["job"]["token"], claimed["job"]["token"]);
    let back = json!({"token": claim["token"], "error": "502", "userMessage": "Try later."});
    let retry = "/internal/jobs/1/retry";
    let exhausted = hub.call(retry, &back, 200).await;
    assert_eq!(exhausted["outcome"], "exhausted");
    assert_eq!(hub.call(retry, &back, 200).await, exhausted);
    hub.uploaded("43").await;
    let job = hub.leased().await;
    let unused = json!({"token": job["token"], "error": "", "userMessage": "", "handBack": true});
    let retry = format!("/internal/jobs/{}/retry", job["jobId"]);
    for _ in 0..2 {
        assert_eq!(hub.call(&retry, &unused, 200).await["outcome"], "scheduled");
    }
    hub.reaches(begun, 2.0).await;
    for outcome in ["exhausted", "retried"] {
        let name = format!("tendril_job_attempts_total{{outcome=\"{outcome}\"}}");
        hub.reaches(&name, 1.0).await;
    }
}

#[tokio::test]
async fn the_documents_figures_are_for_operators() {
    let path = "/api/internal/signalr/metrics";
    let hub = Hub::start().await;
    let body = json!({"event": "ReportReady", "userId": 7, "payload": {}});
    hub.call("/internal/notify", &body, 202).await;
    let figures = hub.admin(path).await;
    assert_eq!(figures["notificationsSent"], 1);
    assert_eq!(figures["notificationsFailed"], 0);
    assert_eq!(figures["totalConnections"], 0);
    assert_eq!(figures["currentConnections"], 0);
    assert!(figures["timestamp"].as_str().unwrap().contains('T'));
    problem(hub.get(path).send().await.unwrap(), 401, None).await;
    let user = hub.by("7", Method::GET, path).send().await.unwrap();
    problem(user, 403, None).await;
}

#[tokio::test]
async fn with_a_port_for_workers_the_figures_are_there_alone() {
    let hub = Hub::with(&[("INTERNAL_PORT", "0")]).await;
    problem(hub.get("/metrics").send().await.unwrap(), 404, None).await;
    let there = hub.internal(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(there.status(), 200);
    assert!(
        there
            .text()
            .await
            .unwrap()
            .contains("process_resident_memory_bytes")
    );
}

/// Sends to everyone until the one who does not read is behind.
async fn overwhelm(hub: &Hub) {
    let body = json!({"event": "Filler", "arguments": ["x".repeat(24 * 1024)]});
    for _ in 0..1_000 {
        hub.call("/internal/broadcast", &body, 202).await;
        if hub.figures().await[SLOW] > 0.0 {
            return;
        }
    }
    panic!("a client that reads nothing is never slow");
}

const SLOW: &str = r#"tendril_signalr_slow_clients{hub="plantanalysis"}"#;

#[tokio::test]
async fn who_is_behind_now_is_told_until_it_has_read() {
    let hub = Hub::start().await;
    let documents = "/api/internal/signalr/metrics";
    let mut client = Client::connect_with_little_room(&hub, "42").await;
    client.ping().await;
    assert_eq!(hub.figures().await[SLOW], 0.0);
    assert_eq!(hub.admin(documents).await["slowClients"], 0);
    let mut operator = Client::at(&hub, "/hubs/admin", &hub.operator()).await;
    overwhelm(&hub).await;
    assert_eq!(hub.admin(documents).await["slowClients"], 1);
    let shown = format!("{SLOW} 1.0");
    operator
        .find(|message| {
            let figures = message["arguments"][0].as_str();
            figures.is_some_and(|figures| figures.contains(&shown))
        })
        .await;
    // It was not closed meanwhile, and has to read everything for the answer.
    client.ping().await;
    hub.reaches(SLOW, 0.0).await;
}
