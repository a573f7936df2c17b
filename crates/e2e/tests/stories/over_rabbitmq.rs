//! Jobs that RabbitMQ brings: real hub, real worker, real broker, and a worker
//! that dies, freezes, leaves, or never hears of the broker again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{Api, ChaosProxy, System, SystemOptions, Webhook, log_check, photo, process::Signal};
use private_services::{AmqpClient, RabbitMq};
use reqwest::StatusCode;
use serde_json::json;

use crate::{OWNER, PATIENCE};

const REQUESTS: &str = "plant-analysis-requests";
const RESULTS: &str = "plant-analysis-results";

/// Leases expire soon, so that no test waits for the usual half minute.
fn options(webhook: &Webhook, hub: &str, worker: &str) -> SystemOptions {
    SystemOptions {
        hub: vec![
            ("Jobs__LeaseSeconds", "2".to_owned()),
            ("RABBITMQ_URL", hub.to_owned()),
        ],
        worker: vec![
            ("N8N__WebhookUrl", webhook.url()),
            ("RABBITMQ_URL", worker.to_owned()),
            ("RabbitMq__Heartbeat", "1".to_owned()),
        ],
        ..SystemOptions::default()
    }
}

/// All of `ids` are completed, each once in the log, and no message is left.
async fn assert_done(api: &Api, url: &str, ids: &[i64]) -> Result<()> {
    for id in ids {
        api.await_end(*id, PATIENCE).await?;
    }
    let client = AmqpClient::connect(url).await;
    client.until_depth(REQUESTS, 0).await;
    let dead = client.depth("plant-analysis-requests.dead-letter").await;
    ensure!(dead == Some(0), "dead letters: {dead:?}");
    log_check::check_log(&api.whole_log().await?, ids)
}

#[tokio::test]
async fn a_worker_that_dies_or_freezes_in_mid_job_costs_nothing() -> Result<()> {
    let url = RabbitMq::shared().await.new_vhost().await;
    let webhook = Webhook::start(Duration::from_secs(600)).await?;
    let mut system = System::start(options(&webhook, &url, &url)).await?;
    let api = system.api(OWNER);
    let first = api.upload(photo::small(1)).await?;
    webhook.await_calls(1, PATIENCE).await?;
    system.kill_worker().await?;
    webhook.set_delay(Duration::from_secs(1));
    system.start_worker().await?;
    assert_done(&api, &url, &[first]).await?;
    let calls = webhook.calls();
    ensure!(calls.len() == 1, "another key after the kill: {calls:?}");

    let second = api.upload(photo::small(2)).await?;
    webhook.await_calls(3, PATIENCE).await?;
    let mut frozen = system.replace_worker()?;
    frozen.signal(Signal::Stop).await?;
    system.start_worker().await?;
    api.await_end(second, PATIENCE).await?;
    frozen.signal(Signal::Continue).await?;
    // More jobs show that the frozen one had its time, and that nothing is stuck.
    let mut ids = vec![first, second];
    for seed in 3..=6 {
        ids.push(api.upload(photo::small(seed)).await?);
        api.await_end(ids[ids.len() - 1], PATIENCE).await?;
    }
    ensure!(
        frozen.ended()?.is_none(),
        "the late result ended the worker"
    );
    assert_done(&api, &url, &ids).await
}

/// No FIN, no RST between worker and broker: the broker takes the message back,
/// another worker finds the job taken, and the first one's result counts.
#[tokio::test]
async fn a_worker_that_the_broker_cannot_reach_does_its_job_once() -> Result<()> {
    let rabbit = RabbitMq::shared().await;
    let url = rabbit.new_vhost().await;
    let webhook = Webhook::start(Duration::from_secs(6)).await?;
    let proxy = ChaosProxy::start(rabbit.port()).await?;
    let by_proxy = url.replace(
        &format!(":{}/", rabbit.port()),
        &format!(":{}/", proxy.port()),
    );
    let system = System::start(options(&webhook, &url, &by_proxy)).await?;
    let api = system.api(OWNER);
    let first = api.upload(photo::small(1)).await?;
    webhook.await_calls(1, PATIENCE).await?;
    proxy.go_dark();
    // Uploads wait in the queue, as no worker can be reached.
    let second = api.upload(photo::small(2)).await?;
    api.await_end(first, PATIENCE).await?;
    proxy.come_back();
    assert_done(&api, &url, &[first, second]).await?;
    let calls = webhook.calls();
    ensure!(calls.values().all(|times| *times == 1), "{calls:?}");
    Ok(())
}

/// Two stages: the flow answers 202, and later puts its answer into the queue.
#[tokio::test]
async fn an_answer_over_the_result_queue_completes_the_analysis() -> Result<()> {
    let url = RabbitMq::shared().await.new_vhost().await;
    let webhook = Webhook::start(Duration::ZERO).await?;
    webhook.set_answer(StatusCode::ACCEPTED, json!({}));
    let system = System::start(options(&webhook, &url, &url)).await?;
    let api = system.api(OWNER);
    let id = api.upload(photo::small(1)).await?;
    webhook.await_answers(1, PATIENCE).await?;
    let result_url = webhook.result_url().context("no resultUrl")?;
    let client = AmqpClient::connect(&url).await;
    let message = |result_url: &str, score| {
        json!({"resultUrl": result_url, "result": {"overallHealthScore": score}}).to_string()
    };
    let forged = message(&result_url.replace("sig=", "sig=x"), 1);
    client.publish(RESULTS, forged.as_bytes()).await;
    client
        .until_depth("plant-analysis-results.dead-letter", 1)
        .await;
    client
        .publish(RESULTS, message(&result_url, 64).as_bytes())
        .await;
    assert_done(&api, &url, &[id]).await?;
    let analysis = api.analysis(id).await?;
    let score = analysis
        .result
        .and_then(|result| result.overall_health_score);
    ensure!(score == Some(64), "{score:?}");
    Ok(())
}

/// SIGTERM in mid-job, twice: nothing is lost, whoever is asked to leave.
#[tokio::test]
async fn hub_and_worker_are_replaced_under_way() -> Result<()> {
    let url = RabbitMq::shared().await.new_vhost().await;
    let webhook = Webhook::start(Duration::from_secs(1)).await?;
    let mut system = System::start(options(&webhook, &url, &url)).await?;
    let api = system.api(OWNER);
    let mut ids = Vec::new();
    for seed in 1..=6 {
        ids.push(api.upload(photo::small(seed)).await?);
    }
    system.stop_worker().await?;
    system.start_worker().await?;
    for seed in 7..=9 {
        ids.push(api.upload(photo::small(seed)).await?);
    }
    system.kill_hub().await?;
    system.start_hub().await?;
    assert_done(&api, &url, &ids).await
}
