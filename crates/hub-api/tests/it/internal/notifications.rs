//! Notifications of every kind, and the deployed contract.

use reqwest::Method;
use serde_json::json;

use super::{completed, nested};
use crate::{
    client::Client,
    harness::{Hub, INTERNAL_SECRET, problem, read},
};

#[tokio::test]
async fn notifications_of_every_kind_are_logged_once() {
    let hub = Hub::start().await;
    let event = json!({"event": "ReportReady", "userId": "alice", "payload": {"report": 5}});
    let call = || {
        hub.internal(Method::POST, "/internal/notify")
            .header("Idempotency-Key", "k-1")
            .json(&event)
            .send()
    };
    let first = read(call().await.unwrap(), 202).await;
    let again = read(call().await.unwrap(), 200).await;
    assert_eq!(first, again);
    let other = json!({"event": "ReportReady", "userId": "alice", "payload": {"report": 6}});
    let conflict = hub
        .internal(Method::POST, "/internal/notify")
        .header("Idempotency-Key", "k-1")
        .json(&other);
    problem(conflict.send().await.unwrap(), 409, Some("Idempotency-Key")).await;

    // An analysis that the hub does not know; the type is inferred.
    let mut unknown = completed("alice", &json!(4711));
    unknown.as_object_mut().unwrap().remove("type");
    assert_eq!(
        hub.call("/internal/notify", &unknown, 202).await["sequence"],
        2
    );
    let failed = json!({"userId": "alice", "notification": {"analysisId": 9, "status": "Failed", "errorMessage": "No plant found in the photo"}});
    assert_eq!(
        hub.call("/internal/notify", &failed, 202).await["sequence"],
        3
    );
    let progress = json!({"userId": "alice", "notification": {"analysisId": 9, "status": "Processing", "percent": 5}});
    let told = hub.call("/internal/notify", &progress, 202).await;
    assert_eq!(
        told,
        json!({"notificationId": null, "sequence": null, "connections": 0})
    );

    let page = hub
        .get_by("alice", "/api/v1/notifications?after=1&limit=1")
        .await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["sequence"], 2);
    assert_eq!(page["items"][0]["payload"]["userId"], "alice");
    assert_eq!(page["head"], 3);
}

#[tokio::test]
async fn what_is_nested_as_deeply_as_is_accepted_reaches_a_client() {
    let hub = Hub::start().await;
    let mut client = Client::connect(&hub, "42").await;
    client.ping().await;
    let deep = json!({"event": "ReportReady", "userId": 42, "payload": nested(60)});
    let sent = hub.call("/internal/notify", &deep, 202).await;
    assert_eq!(sent["sequence"], 1);
    assert_eq!(client.event("ReportReady").await[0], nested(60));
    let mut ended = completed("42", &json!(1));
    ended["notification"]["more"] = nested(59);
    hub.call("/internal/notify", &ended, 202).await;
    let told = client.event("ReceiveAnalysisCompleted").await;
    assert_eq!(told[0]["more"], nested(59));
    let all = json!({"event": "Maintenance", "arguments": [nested(60)]});
    hub.call("/internal/broadcast", &all, 202).await;
    assert_eq!(client.event("Maintenance").await[0], nested(60));
}

#[tokio::test]
async fn the_deployed_contract_is_kept() {
    let hub = Hub::start().await;
    let path = "/api/internal/signalr/analysis-completed";
    let body = json!({
        "internalSecret": INTERNAL_SECRET,
        "userId": 42,
        "notification": {"analysisId": "123", "userId": 42, "status": "Completed", "completedAt": "2025-10-01T10:00:00.1234567", "cropType": "Tomato", "primaryConcern": null, "overallHealthScore": 85, "imageUrl": "https://img.example/1.jpg", "deepLink": "app://analysis/123"},
    });
    let sent = hub.post(path).json(&body).send().await.unwrap();
    assert_eq!(read(sent, 200).await["sequence"], 1);
    let failed = json!({"internalSecret": INTERNAL_SECRET, "userId": 42, "notification": {"analysisId": 124}});
    let sent = hub
        .post("/api/internal/signalr/analysis-failed")
        .json(&failed)
        .send()
        .await
        .unwrap();
    assert_eq!(read(sent, 200).await["sequence"], 2);
    let page = hub.get_by("42", "/api/v1/notifications").await;
    assert_eq!(page["items"][0]["payload"]["analysisId"], 123);
    assert_eq!(page["items"][1]["event"], "ReceiveAnalysisFailed");
    assert_eq!(
        page["items"][1]["payload"]["errorMessage"],
        "The analysis failed."
    );

    for wrong in [
        json!({}),
        json!({"internalSecret": "wrong", "userId": 42, "notification": {"analysisId": 1}}),
        json!({"internalSecret": 7, "userId": 42, "notification": {"analysisId": 1}}),
        json!({"internalSecret": "", "userId": "bad\nuser"}),
    ] {
        let refused = problem(hub.post(path).json(&wrong).send().await.unwrap(), 401, None).await;
        assert!(
            refused.get("errors").is_none(),
            "a wrong secret learns nothing: {refused}"
        );
    }
    problem(hub.post(path).body("{").send().await.unwrap(), 401, None).await;
    let mut unreadable = body.clone();
    unreadable["notification"]["analysisId"] = json!("12x");
    let sent = hub.post(path).json(&unreadable).send().await.unwrap();
    problem(sent, 400, Some("notification.analysisId")).await;
    assert_eq!(hub.get_by("42", "/api/v1/notifications").await["head"], 2);
}
