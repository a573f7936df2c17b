//! What an operator turns at one hub, and which other hubs follow.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use shared_dto::UserId;

use super::{
    Common, PATIENCE,
    client::{Client, Transport::WebSockets},
    faults::own_redis,
    until_redis_is,
};
use crate::harness::{Hub, read};

const PATH: &str = "/api/admin/switches";

async fn switches(hub: &Hub, change: Option<Value>) -> Value {
    let operator = UserId::new("operator").unwrap();
    let roles = ["Admin".to_owned()];
    let lifetime = Duration::from_secs(600);
    let token = hub_api::auth::mint(&hub.config, &operator, &roles, lifetime).unwrap();
    let request = match change {
        Some(change) => hub.request(Method::PATCH, PATH).json(&change),
        None => hub.request(Method::GET, PATH),
    };
    read(request.bearer_auth(token).send().await.unwrap(), 200).await
}

async fn until_percent_is(hub: &Hub, percent: u8) {
    let turned = async {
        while switches(hub, None).await["realtimeRolloutPercent"] != percent {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, turned).await.unwrap();
}

/// Two systems that share a Redis and, by mistake, the prefix.
#[tokio::test]
async fn hubs_of_the_same_log_follow_and_those_of_another_do_not() {
    let ours = Common::new().await;
    let mut theirs = Common::new().await;
    theirs.prefix.clone_from(&ours.prefix);
    let (a, b) = (ours.hub().await, ours.hub().await);
    let (c, d) = (theirs.hub().await, theirs.hub().await);
    let change = json!({"enableSignalR": false, "realtimeRolloutPercent": 40});
    let told = switches(&a, Some(change)).await;
    assert_eq!(told["otherHubsTold"], true);
    until_percent_is(&b, 40).await;
    assert_eq!(switches(&b, None).await["enableSignalR"], false);
    // Redis brings messages in their order: once this one is there, the other
    // one would have been.
    switches(&c, Some(json!({"realtimeRolloutPercent": 50}))).await;
    until_percent_is(&d, 50).await;
    assert_eq!(switches(&d, None).await["enableSignalR"], true);
    assert_eq!(switches(&b, None).await["realtimeRolloutPercent"], 40);

    // The user of the same name is somebody else there.
    let mut theirs = Client::connect(&c, "42", WebSockets).await;
    theirs.ping().await;
    let path = "/internal/users/42/connections";
    let closed = a.internal(Method::DELETE, path).send().await.unwrap();
    assert_eq!(read(closed, 200).await["closed"], 0);
    let closed = d.internal(Method::DELETE, path).send().await.unwrap();
    assert_eq!(read(closed, 200).await["closed"], 1);
}

#[tokio::test]
async fn an_operator_is_told_when_other_hubs_were_not() {
    let (mut redis, common) = own_redis().await;
    let hub = common.hub().await;
    let change = json!({"realtimeRolloutPercent": 40});
    assert_eq!(switches(&hub, Some(change)).await["otherHubsTold"], true);
    redis.process.kill().await.unwrap();
    until_redis_is(&hub, "Degraded").await;
    let told = switches(&hub, Some(json!({"realtimeRolloutPercent": 50}))).await;
    assert_eq!(told["otherHubsTold"], false);
    assert_eq!(told["realtimeRolloutPercent"], 50);
    assert_eq!(switches(&hub, None).await["otherHubsTold"], Value::Null);
}
