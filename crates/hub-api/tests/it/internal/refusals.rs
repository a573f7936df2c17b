//! Calls that are wrong, each told which field and why.

use reqwest::Method;
use serde_json::{Value, json};

use super::{completed, nested};
use crate::harness::{Hub, problem};

#[tokio::test]
async fn bad_calls_are_refused_with_the_field() {
    let hub = Hub::start().await;
    hub.uploaded("42").await;
    let job = hub.leased().await;
    let attempt = json!({"jobId": job["jobId"], "token": job["token"]});
    let with = |name: &str, value: Value| {
        let mut body = completed("42", &job["analysisId"]);
        body["attempt"] = attempt.clone();
        body[name] = value;
        body
    };
    let event = |name: Value| json!({"event": name, "userId": 1, "payload": {}});
    let notify = "/internal/notify";
    let lease = "/internal/jobs/lease";
    let heartbeat = format!("/internal/jobs/{}/heartbeat", job["jobId"]);
    let retry = format!("/internal/jobs/{}/retry", job["jobId"]);
    for (path, body, status, field) in [
        (notify, json!({}), 400, Some("userId")),
        (notify, json!({"userId": 1}), 400, Some("notification")),
        (
            notify,
            json!({"userId": -1, "event": "A"}),
            400,
            Some("userId"),
        ),
        (
            notify,
            json!({"userId": "", "event": "A"}),
            400,
            Some("userId"),
        ),
        (
            notify,
            json!({"userId": "x".repeat(129), "event": "A"}),
            400,
            Some("userId"),
        ),
        (notify, event(json!("")), 400, Some("event")),
        (notify, event(json!("1st")), 400, Some("event")),
        (notify, event(json!("a b")), 400, Some("event")),
        (notify, event(json!("x".repeat(65))), 400, Some("event")),
        (
            notify,
            event(json!("receiveanalysiscompleted")),
            400,
            Some("event"),
        ),
        (
            notify,
            json!({"event": "A", "userId": 1, "payload": "a\u{0}"}),
            400,
            Some("payload"),
        ),
        (
            notify,
            json!({"event": "A", "userId": 1, "payload": "x".repeat(70_000)}),
            400,
            Some("payload"),
        ),
        (
            notify,
            json!({"event": "A", "userId": 1, "payload": nested(61)}),
            400,
            Some("payload"),
        ),
        (
            notify,
            json!({"userId": 1, "notification": {"analysisId": 1, "status": "Completed", "more": nested(60)}}),
            400,
            Some("notification"),
        ),
        (
            notify,
            json!({"event": "A", "userId": 1, "payload": "x".repeat(600_000)}),
            413,
            Some("body"),
        ),
        (
            notify,
            json!({"event": "A", "userId": 1, "payload": {}, "attempt": attempt}),
            400,
            Some("attempt"),
        ),
        (notify, with("event", json!("A")), 400, Some("event")),
        (
            notify,
            with("type", json!("analysis.lost")),
            400,
            Some("type"),
        ),
        (
            notify,
            with("type", json!("analysis.failed")),
            400,
            Some("notification.status"),
        ),
        (
            notify,
            with(
                "notification",
                json!({"analysisId": 1, "status": "Completed", "userId": 43}),
            ),
            422,
            Some("notification.userId"),
        ),
        (notify, with("userId", json!(43)), 422, Some("userId")),
        (
            notify,
            with("attempt", json!({"jobId": 999, "token": "t"})),
            404,
            None,
        ),
        (
            notify,
            with("attempt", json!({"jobId": job["jobId"], "token": "old"})),
            409,
            None,
        ),
        (
            notify,
            with("attempt", json!({"jobId": 0, "token": "t"})),
            400,
            Some("attempt.jobId"),
        ),
        (
            notify,
            with("attempt", json!({"jobId": 1, "token": ""})),
            400,
            Some("attempt.token"),
        ),
        (
            notify,
            with("attempt", json!({"jobId": "1", "token": "t"})),
            400,
            Some("attempt.jobId"),
        ),
        (
            notify,
            with("result", json!({"overallHealthScore": 101})),
            400,
            Some("result.overallHealthScore"),
        ),
        (
            notify,
            with("result", json!({"confidence": 1.5})),
            400,
            Some("result.confidence"),
        ),
        (
            notify,
            with("result", json!({"primaryConcern": "a\u{0}"})),
            400,
            Some("result"),
        ),
        (
            notify,
            json!({"userId": 42, "notification": {"analysisId": 1, "status": "Completed"}, "result": {}}),
            400,
            Some("result"),
        ),
        (
            lease,
            json!({"workerId": "", "maxJobs": 1, "waitSeconds": 0}),
            400,
            Some("workerId"),
        ),
        (
            lease,
            json!({"workerId": "a b", "maxJobs": 1, "waitSeconds": 0}),
            400,
            Some("workerId"),
        ),
        (
            lease,
            json!({"workerId": "w", "maxJobs": 0, "waitSeconds": 0}),
            400,
            Some("maxJobs"),
        ),
        (
            lease,
            json!({"workerId": "w", "maxJobs": 101, "waitSeconds": 0}),
            400,
            Some("maxJobs"),
        ),
        (
            lease,
            json!({"workerId": "w", "maxJobs": 1, "waitSeconds": 31}),
            400,
            Some("waitSeconds"),
        ),
        (&heartbeat, json!({"token": "old"}), 409, None),
        (&heartbeat, json!({"token": ""}), 400, Some("token")),
        (
            &heartbeat,
            json!({"token": job["token"], "parkSeconds": 0}),
            400,
            Some("parkSeconds"),
        ),
        (
            &heartbeat,
            json!({"token": job["token"], "progress": {"percent": 101, "stage": "", "message": ""}}),
            400,
            Some("progress.percent"),
        ),
        (
            &heartbeat,
            json!({"token": job["token"], "progress": {"percent": 256, "stage": "", "message": ""}}),
            400,
            Some("progress.percent"),
        ),
        (
            "/internal/jobs/999/heartbeat",
            json!({"token": "t"}),
            404,
            None,
        ),
        (
            "/internal/jobs/0/heartbeat",
            json!({"token": "t"}),
            400,
            Some("id"),
        ),
        (
            &retry,
            json!({"token": job["token"], "error": "e", "userMessage": ""}),
            400,
            Some("userMessage"),
        ),
        (
            &retry,
            json!({"token": "old", "error": "e", "userMessage": "m"}),
            409,
            None,
        ),
        (
            "/internal/jobs/999/retry",
            json!({"token": "t", "error": "e", "userMessage": "m"}),
            404,
            None,
        ),
    ] {
        let sent = hub
            .internal(Method::POST, path)
            .json(&body)
            .send()
            .await
            .unwrap();
        problem(sent, status, field).await;
    }
    // The attempt is as it was.
    hub.call(&heartbeat, &json!({"token": job["token"]}), 200)
        .await;
    assert_eq!(hub.get_by("42", "/api/v1/notifications").await["head"], 0);
}
