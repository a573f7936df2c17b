//! Outside answers that come over the result queue.

use private_services::{AmqpClient, RabbitMq};

use super::*;
use crate::hub::{Call, Fault, Route};

fn answer(n: i64) -> Vec<u8> {
    let url = format!("https://hub.example/callbacks/jobs/{n}/result?attempt=1&exp=9&sig=x");
    json!({"resultUrl": url, "result": {"overallHealthScore": n}})
        .to_string()
        .into_bytes()
}

fn brought(hub: &Hub) -> Vec<Value> {
    let of = |call: &Call| match call {
        Call::Result(result) => Some(result.result["overallHealthScore"].clone()),
        _ => None,
    };
    hub.calls().iter().filter_map(of).collect()
}

/// A worker takes one message after the other: when one that is no answer is
/// the next dead letter, it has settled all that came before it.
async fn until_all_before_are_settled(client: &AmqpClient, dead: u32) {
    client.until_depth(RESULTS_DEAD, dead).await;
    client.publish(RESULTS, b"no answer").await;
    client.until_depth(RESULTS_DEAD, dead + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_brought_to_the_hub_and_refused_ones_are_dead_letters() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    let worker = worker(&hub, &url, &webhook, &[]).await;
    let client = AmqpClient::connect(&url).await;
    // Wrong signature, given-up attempt, no such job, too long.
    let refusals = [422, 409, 404, 413, 400];
    hub.fail(
        Route::Result,
        refusals.map(|status| Fault::Status(status, None)),
    );
    for n in 1..=5 {
        client.publish(RESULTS, &answer(n)).await;
    }
    client.publish(RESULTS, b"no answer").await;
    client.publish(RESULTS, br#"{"result":{}}"#).await;
    client.publish(RESULTS, &vec![b'x'; 3 << 20]).await;
    client.publish(RESULTS, &answer(6)).await;
    hub.until("the good one", |_| {
        brought(&hub).contains(&json!(6)).then_some(())
    })
    .await;
    assert_eq!(brought(&hub), [json!(6)]);
    until_all_before_are_settled(&client, 8).await;
    assert_eq!(hub.arrived(Route::Result), 6, "none was tried twice");
    worker.leave().await;
    client.until_depth(RESULTS, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_held_while_the_hub_is_away() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (mut hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    let worker = worker(&hub, &url, &webhook, &[]).await;
    let client = AmqpClient::connect(&url).await;
    hub.kill().await;
    client.publish(RESULTS, &answer(1)).await;
    sleep(Duration::from_secs(1)).await;
    hub.fail(Route::Result, [Fault::Status(503, None), Fault::AnswerLost]);
    hub.revive().await;
    hub.until("the answer", |_| (brought(&hub).len() == 2).then_some(()))
        .await;
    until_all_before_are_settled(&client, 0).await;
    worker.leave().await;
    client.until_depth(RESULTS, 0).await;
}
