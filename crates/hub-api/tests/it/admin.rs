//! What an operator reads over REST.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use shared_dto::UserId;
use tokio::time::{Instant, sleep};

use crate::{
    client::Client,
    harness::{Hub, problem, read},
};

const LOG: &str = "/api/admin/notifications";

impl Hub {
    async fn log(&self, query: &str) -> Value {
        let admin = UserId::new("operator").unwrap();
        let roles = ["Admin".to_owned()];
        let lifetime = Duration::from_secs(600);
        let token = hub_api::auth::mint(&self.config, &admin, &roles, lifetime).unwrap();
        let sent = self
            .request(Method::GET, &format!("{LOG}{query}"))
            .bearer_auth(token)
            .send();
        read(sent.await.unwrap(), 200).await
    }

    async fn notify(&self, user: i64, analysis: i64) {
        let notification = json!({"analysisId": analysis, "status": "Completed"});
        let body = json!({"userId": user, "notification": notification});
        self.call("/internal/notify", &body, 202).await;
    }
}

#[tokio::test]
async fn the_notification_log_is_told_to_an_operator() {
    let hub = Hub::start().await;
    hub.notify(7, 70).await;
    hub.notify(8, 80).await;
    hub.notify(7, 71).await;
    let all = hub.log("").await;
    let users: Vec<i64> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["userId"].as_i64().unwrap())
        .collect();
    assert_eq!(users, [7, 8, 7]);
    assert_eq!(all["nextBefore"], Value::Null);
    let newest = &all["items"][0];
    assert_eq!(newest["analysisId"], 71);
    assert_eq!(
        (&newest["success"], &newest["outcome"]),
        (&json!(false), &json!("waiting"))
    );
    assert_eq!(
        (&newest["retryCount"], &newest["sentAt"]),
        (&json!(0), &Value::Null)
    );
    assert!(newest["errorMessage"].is_string());
    let one = hub.log("?userId=7&analysisId=70").await;
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    let page = hub.log("?limit=2").await;
    let before = page["nextBefore"].as_i64().unwrap();
    let rest = hub.log(&format!("?limit=2&before={before}")).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(hub.log("?outcome=confirmed").await["items"], json!([]));
}

#[tokio::test]
async fn what_waited_for_its_client_was_sent_once() {
    let hub = Hub::with(&[("Receipts__Confirm", "acknowledge")]).await;
    let mut client = Client::connect(&hub, "7").await;
    client.ping().await;
    // It has not said yet where it stands, so that nothing is sent to it.
    hub.notify(7, 70).await;
    client.event("ReceiveAnalysisCompleted").await;
    hub.notify(7, 71).await;
    client.event("ReceiveAnalysisCompleted").await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let told = loop {
        let told = hub.log("").await["items"].clone();
        // What was noted of the older is written by then.
        if told[0]["outcome"] == "sent" {
            break told;
        }
        assert!(Instant::now() < deadline, "{told}");
        sleep(Duration::from_millis(20)).await;
    };
    for entry in told.as_array().unwrap() {
        assert_eq!(entry["outcome"], "sent");
        assert_eq!(entry["retryCount"], 0, "{entry}");
    }
}

#[tokio::test]
async fn nobody_else_reads_it() {
    let hub = Hub::start().await;
    let unnamed = hub.get(LOG).send().await.unwrap();
    problem(unnamed, 401, None).await;
    let user = hub.by("7", Method::GET, LOG).send().await.unwrap();
    problem(user, 403, None).await;
}
