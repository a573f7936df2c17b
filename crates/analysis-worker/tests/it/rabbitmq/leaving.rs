//! A worker that leaves takes nothing along.

use private_services::{AmqpClient, RabbitMq};

use super::*;
use crate::{
    photos,
    webhook::{Deed, GOOD},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_finished_and_what_waits_is_given_back() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = Hub::start().await;
    let late = || Deed::After(Duration::from_secs(2), Box::new(Deed::json(GOOD)));
    let webhook = Webhook::start([late(), late()]).await;
    let more = [("Worker__Concurrency", "2"), ("Worker__Grace", "20")];
    let leaving = worker(&hub, &url, &webhook, &more).await;
    for job in 1..=4 {
        hub.claimable(job, photos::leaf());
    }
    let client = AmqpClient::connect(&url).await;
    announce(&client, 1).await;
    announce(&client, 2).await;
    webhook.until_called(2).await;
    leaving.shutdown.soft.cancel();
    announce(&client, 3).await;
    announce(&client, 4).await;
    leaving.leave().await;
    assert_eq!((results_of(&hub, 1), results_of(&hub, 2)), (1, 1));
    client.until_depth(REQUESTS, 2).await;
    assert!(hub.claims(3).is_empty() && hub.claims(4).is_empty());

    let next = worker(&hub, &url, &webhook, &[]).await;
    hub.notified(3).await;
    hub.notified(4).await;
    assert_settled(&client, next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_in_time_is_handed_back_and_settled() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = Hub::start().await;
    let webhook = Webhook::start([Deed::Hang]).await;
    let worker = worker(&hub, &url, &webhook, &[("Worker__Grace", "1")]).await;
    hub.claimable(1, photos::leaf());
    let client = AmqpClient::connect(&url).await;
    announce(&client, 1).await;
    webhook.until_called(1).await;
    assert_settled(&client, worker).await;
    assert!(
        hub.given_back(1).await.hand_back,
        "the hub announces it anew"
    );
}
