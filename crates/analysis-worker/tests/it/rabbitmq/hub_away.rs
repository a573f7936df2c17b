//! A hub that is away, or refuses: deliveries are held, none is used up.

use private_services::{AmqpClient, RabbitMq};

use super::*;
use crate::{
    hub::{Fault, Route},
    photos,
};

/// Longer than all of the queue's deliveries would last, were they used up by waiting.
const OUTAGE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn while_the_hub_is_away_deliveries_are_held_and_the_hub_is_left_alone() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (mut hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    let more = [
        ("RabbitMq__DeliveryLimit", "2"),
        ("WebAPI__BreakerPause", "1s"),
        ("Worker__Concurrency", "4"),
    ];
    let worker = worker(&hub, &url, &webhook, &more).await;
    let client = AmqpClient::connect(&url).await;
    hub.kill().await;
    for job in 1..=8 {
        hub.claimable(job, photos::leaf());
        announce(&client, job).await;
    }
    sleep(OUTAGE).await;
    assert_eq!(
        client.depth(REQUESTS).await,
        Some(4),
        "four are held, four wait"
    );
    assert_eq!(client.depth(REQUESTS_DEAD).await, Some(0));
    let check = consumer(&worker).await;
    assert_eq!(check["status"], "Healthy", "the broker is well: {check}");
    hub.revive().await;
    for job in 1..=8 {
        hub.notified(job).await;
        assert_eq!(
            hub.claims(job).len(),
            1,
            "job {job} in one claim that got through"
        );
    }
    assert_settled(&client, worker).await;
}

/// A wrong secret is the operator's to mend: nothing is lost by it meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_refuses_the_worker_costs_no_message() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    let worker = worker(&hub, &url, &webhook, &[]).await;
    hub.claimable(1, photos::leaf());
    hub.fail(Route::Claim, vec![Fault::Status(401, None); 2]);
    hub.fail(Route::Ping, [Fault::Status(403, None)]);
    let client = AmqpClient::connect(&url).await;
    announce(&client, 1).await;
    hub.notified(1).await;
    assert_settled(&client, worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_in_need_is_asked_again_when_it_says() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    let worker = worker(&hub, &url, &webhook, &[]).await;
    hub.claimable(1, photos::leaf());
    hub.fail(
        Route::Claim,
        [Fault::Status(429, Some(1)), Fault::Status(503, Some(1))],
    );
    let client = AmqpClient::connect(&url).await;
    let began = Instant::now();
    announce(&client, 1).await;
    hub.notified(1).await;
    assert!(
        began.elapsed() >= Duration::from_secs(2),
        "twice Retry-After: 1"
    );
    assert_settled(&client, worker).await;
}

/// A message goes to the dead letters for what it says alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_not_reach_the_hub_costs_no_message() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    let worker = worker(&hub, &url, &webhook, &[("WebAPI__BreakerPause", "100ms")]).await;
    hub.claimable(1, photos::leaf());
    hub.fail(Route::Claim, [Fault::Edge(404), Fault::Status(404, None)]);
    let client = AmqpClient::connect(&url).await;
    announce(&client, 1).await;
    hub.notified(1).await;
    assert_settled(&client, worker).await;
}
