//! What operators turn while the hub runs, and what clients see of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared_dto::UserId;

use crate::{
    client::Client,
    harness::{Hub, problem, read},
};

const PATH: &str = "/api/admin/switches";
const NEGOTIATE: &str = "/hubs/plantanalysis/negotiate?negotiateVersion=1";

impl Hub {
    fn by_operator(&self, method: Method, path: &str) -> RequestBuilder {
        let operator = UserId::new("operator").unwrap();
        let roles = ["Admin".to_owned()];
        let lifetime = Duration::from_secs(600);
        let token = hub_api::auth::mint(&self.config, &operator, &roles, lifetime).unwrap();
        self.request(method, path).bearer_auth(token)
    }

    async fn turn(&self, change: Value) -> Value {
        let sent = self.by_operator(Method::PATCH, PATH).json(&change).send();
        read(sent.await.unwrap(), 200).await
    }

    async fn report_ready(&self, user: i64) -> i64 {
        let body = json!({"event": "ReportReady", "userId": user, "payload": {}});
        let accepted = self.call("/internal/notify", &body, 202).await;
        accepted["sequence"].as_i64().unwrap()
    }
}

#[tokio::test]
async fn switched_off_clients_leave_kindly_and_nothing_is_lost() {
    let hub = Hub::start().await;
    let mut client = Client::connect(&hub, "42").await;
    client.ping().await;
    let view = hub.turn(json!({"enableSignalR": false})).await;
    assert_eq!(view["enableSignalR"], false);
    assert_eq!(view["otherHubsTold"], Value::Null, "there are none");
    let close = client.message(7).await;
    assert_eq!(close["allowReconnect"], true, "{close}");
    assert!(close["error"].as_str().unwrap().contains("switched off"));

    let refused = hub.by("42", Method::POST, NEGOTIATE).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let url = format!(
        "ws://{}/hubs/plantanalysis?access_token={}",
        hub.address(),
        hub.token("42")
    );
    let refused = tokio_tungstenite::connect_async(url).await.unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    // Everything else goes on.
    assert_eq!(hub.report_ready(42).await, 1);
    let page = hub.get_by("42", "/api/v1/notifications?after=0").await;
    assert_eq!(page["items"][0]["sequence"], 1);
    let health = read(hub.get("/health").send().await.unwrap(), 200).await;
    assert_eq!(health["status"], "Degraded");
    let signalr = read(hub.get("/health/signalr").send().await.unwrap(), 200).await;
    assert_eq!(signalr["status"], "Degraded");

    hub.turn(json!({"enableSignalR": true})).await;
    let mut client = Client::connect(&hub, "42").await;
    assert_eq!(client.event("ReportReady").await[0]["sequence"], 1);
}

#[tokio::test]
async fn a_rollout_serves_its_share_and_the_listed() {
    let hub = Hub::with(&[
        ("REALTIME_ROLLOUT_PERCENT", "0"),
        ("REALTIME_ROLLOUT_ALLOW_LIST", "7,8"),
    ])
    .await;
    let outside = hub.by("42", Method::POST, NEGOTIATE).send().await.unwrap();
    let answer = read(outside, 200).await;
    assert!(answer["error"].as_str().unwrap().contains("not available"));
    assert_eq!(answer["connectionToken"], Value::Null);
    let url = format!(
        "ws://{}/hubs/plantanalysis?access_token={}",
        hub.address(),
        hub.token("42")
    );
    let refused = tokio_tungstenite::connect_async(url).await.unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
    let mut listed = Client::connect(&hub, "7").await;
    listed.ping().await;

    hub.turn(json!({"realtimeRolloutPercent": 100})).await;
    let mut other = Client::connect(&hub, "42").await;
    other.ping().await;
    hub.turn(json!({"realtimeRolloutPercent": 0})).await;
    let close = other.message(7).await;
    assert_eq!(close["allowReconnect"], true);
    listed.ping().await;
}

#[tokio::test]
async fn a_notice_reaches_who_is_there_and_who_comes() {
    let hub = Hub::start().await;
    let mut there = Client::connect(&hub, "42").await;
    there.ping().await;
    let notice = json!({"message": "Back at noon.", "until": "12:00"});
    let view = hub.turn(json!({"maintenanceNotice": notice})).await;
    assert_eq!(view["maintenanceNotice"], notice);
    let told = there.event("ReceiveMaintenanceNotice").await;
    assert_eq!(told[0], notice);
    let mut comes = Client::connect(&hub, "43").await;
    assert_eq!(comes.event("ReceiveMaintenanceNotice").await[0], notice);
    let view = hub.turn(json!({"maintenanceNotice": null})).await;
    assert_eq!(view["maintenanceNotice"], Value::Null);
    let figures = hub.get("/metrics").send().await.unwrap();
    let figures = figures.text().await.unwrap();
    assert!(figures.contains("tendril_switch{switch=\"maintenance_notice\"} 0.0"));
}

#[tokio::test]
async fn the_switches_are_for_operators_and_take_only_what_makes_sense() {
    let hub = Hub::start().await;
    problem(hub.get(PATH).send().await.unwrap(), 401, None).await;
    let user = hub.by("7", Method::GET, PATH).send().await.unwrap();
    problem(user, 403, None).await;
    let user = hub.by("7", Method::PATCH, PATH);
    let change = user.json(&json!({"enableSignalR": false})).send().await;
    problem(change.unwrap(), 403, None).await;
    for (change, field) in [
        (
            json!({"realtimeRolloutPercent": 101}),
            "realtimeRolloutPercent",
        ),
        (json!({"rolloutAllowList": [""]}), "rolloutAllowList"),
        (json!({"logFilter": "loudly"}), "logFilter"),
        (
            json!({"maintenanceNotice": {"message": "a\nb"}}),
            "maintenanceNotice",
        ),
    ] {
        let sent = hub.by_operator(Method::PATCH, PATH).json(&change).send();
        problem(sent.await.unwrap(), 400, Some(field)).await;
    }
    let unknown = json!({"enableEverything": true});
    let sent = hub.by_operator(Method::PATCH, PATH).json(&unknown).send();
    problem(sent.await.unwrap(), 400, None).await;
    let sent = hub.by_operator(Method::GET, PATH).send();
    let view = read(sent.await.unwrap(), 200).await;
    assert_eq!(view["enableSignalR"], true);
    assert_eq!(view["realtimeRolloutPercent"], 100);
}

#[tokio::test]
async fn the_stream_has_its_own_switch() {
    let hub = Hub::with(&[("REALTIME_STREAMING_V2", "false")]).await;
    let stream = hub.by("42", Method::GET, "/v2/realtime/stream");
    assert_eq!(stream.send().await.unwrap().status(), 403);
    let mut client = Client::connect(&hub, "42").await;
    client.ping().await;
}
