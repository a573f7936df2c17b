//! A broker that is full, in need of memory, dead or not there: uploads are
//! accepted all the same, wait in the database, and are announced later.

use private_services::{AmqpClient, RabbitMq};
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn a_full_queue_leaves_jobs_in_the_database() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = hub(&url, &[("RabbitMq__MaxLength", "2")]).await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(hub.uploaded("42").await);
    }
    until_health(&hub, "Degraded", |data| {
        data["trouble"] == "the queue is full" && data["refused"].as_u64() > Some(0)
    })
    .await;
    let client = AmqpClient::connect(&url).await;
    let mut seen = Vec::new();
    while seen.len() < ids.len() {
        let job = announced(&client).await;
        assert_eq!(claim(&hub, &job, 'a').await["outcome"], "claimed");
        seen.push(job["analysisId"].as_i64().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, ids);
    let last = hub.uploaded("42").await;
    assert_eq!(announced(&client).await["analysisId"], last);
    until_health(&hub, "Healthy", |_| true).await;
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_made_again_and_misses_nothing() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = hub(&url, &[("Relay__RepublishAfter", "2")]).await;
    until_health(&hub, "Healthy", |_| true).await;
    let client = AmqpClient::connect(&url).await;
    client.delete(REQUESTS).await;
    let id = hub.uploaded("42").await;
    client.until_depth(REQUESTS, 1).await;
    assert_eq!(announced(&client).await["analysisId"], id);
}

/// One broker of its own, which is short of memory, killed, and away at the start.
#[tokio::test]
async fn uploads_outlive_whatever_befalls_the_broker() {
    let mut rabbit = RabbitMq::start().await.unwrap();
    let url = rabbit.url();
    let hub = hub(
        &url,
        &[
            ("Relay__ConfirmTimeout", "5"),
            ("Relay__RepublishAfter", "5m"),
        ],
    )
    .await;
    until_health(&hub, "Healthy", |_| true).await;

    let alarm = |set: &str| {
        format!(
            "rabbit_alarm:{set}_alarm({}).",
            if set == "set" {
                "{{resource_limit, memory, node()}, []}"
            } else {
                "{resource_limit, memory, node()}"
            }
        )
    };
    rabbit.evaluate(&alarm("set")).await.unwrap();
    let mut ids = vec![hub.uploaded("42").await, hub.uploaded("42").await];
    until_health(&hub, "Degraded", |data| data["blocked"] == true).await;
    ids.push(hub.uploaded("42").await);
    rabbit.evaluate(&alarm("clear")).await.unwrap();
    until_health(&hub, "Healthy", |_| true).await;
    let client = AmqpClient::connect(&url).await;
    claim_all(&hub, &client, &ids).await;

    rabbit.process.kill().await.unwrap();
    let mut ids = vec![hub.uploaded("42").await];
    until_health(&hub, "Degraded", |data| data["relay"]["connected"] == false).await;
    let shown = health(&hub).await;
    let error = shown["data"]["relay"]["lastError"].as_str().unwrap();
    // The broker's own words, and where it is, are not for everybody.
    assert!(
        error.starts_with("the broker") && !error.contains(':'),
        "{shown}"
    );
    ids.push(hub.uploaded("42").await);
    rabbit.process.start_again().await.unwrap();
    let client = AmqpClient::connect(&url).await;
    claim_all(&hub, &client, &ids).await;
    until_health(&hub, "Healthy", |_| true).await;

    // What was confirmed is still there after a kill.
    let before = health(&hub).await["data"]["announced"].as_u64();
    let id = hub.uploaded("42").await;
    until_health(&hub, "Healthy", |data| data["announced"].as_u64() > before).await;
    rabbit.process.kill().await.unwrap();
    rabbit.process.start_again().await.unwrap();
    let client = AmqpClient::connect(&url).await;
    claim_all(&hub, &client, &[id]).await;

    // A hub that starts before its broker waits for it.
    rabbit.process.stop().await.unwrap();
    let early = early_hub(&url, &[]).await;
    let id = early.uploaded("7").await;
    until_health(&early, "Degraded", |_| true).await;
    rabbit.process.start_again().await.unwrap();
    let client = AmqpClient::connect(&url).await;
    claim_all(&early, &client, &[id]).await;
}

/// Claims what comes until all of `ids` were claimed; repeats are harmless.
async fn claim_all(hub: &Hub, client: &AmqpClient, ids: &[i64]) {
    let mut open = ids.to_vec();
    while !open.is_empty() {
        let job = announced(client).await;
        let claimed = claim(hub, &job, 'a').await;
        if claimed["outcome"] == "claimed" {
            open.retain(|id| claimed["job"]["analysisId"] != *id);
        }
    }
}

#[tokio::test]
async fn queues_that_exist_otherwise_end_the_start_with_their_name() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let _first = hub(&url, &[]).await;
    let mut other = early_hub(&url, &[("RabbitMq__MaxLength", "7")]).await;
    let left = timeout(PATIENCE, other.left()).await.unwrap();
    let error = left.unwrap_err().to_string();
    for needed in [REQUESTS, "x-max-length", "RabbitMq__RequestQueue"] {
        assert!(error.contains(needed), "{error}");
    }
}
