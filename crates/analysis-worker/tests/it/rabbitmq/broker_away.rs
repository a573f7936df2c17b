//! One broker of its own, which is killed, frozen, and out of patience.

use private_services::{AmqpClient, RabbitMq};

use super::*;
use crate::{
    photos,
    webhook::{Deed, GOOD},
};

fn slow(seconds: u64) -> Deed {
    Deed::After(Duration::from_secs(seconds), Box::new(Deed::json(GOOD)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_survives_what_befalls_the_broker_and_is_done_once() {
    let mut rabbit = RabbitMq::start().await.unwrap();
    // Channels are looked at each minute by default, for deliveries that nobody settles.
    let impatient = "application:set_env(rabbit, channel_tick_interval, 500),
                     application:set_env(rabbit, consumer_timeout, 1500).";
    rabbit.evaluate(impatient).await.unwrap();
    let url = rabbit.url();
    let hub = Hub::start().await;
    let webhook = Webhook::start([slow(5), slow(12), slow(5)]).await;
    // It is to find out soon that the broker is frozen. Elsewhere it is not to
    // think so of a broker that a busy machine is slow for.
    let soon = ("RabbitMq__Heartbeat", "1");
    let worker = worker(&hub, &url, &webhook, &[soon]).await;
    for job in 1..=4 {
        hub.claimable(job, photos::leaf());
    }

    // The broker closes the channel in mid-job: a consumer that waits for its
    // recovery is never given anything again.
    let client = AmqpClient::connect(&url).await;
    announce(&client, 1).await;
    until_consumer(&worker, "Unhealthy").await;
    until_consumer(&worker, "Healthy").await;
    hub.notified(1).await;
    let told = until("an acknowledgement that was lost", async || {
        let check = consumer(&worker).await;
        (check["data"]["lostAcknowledgements"] == 1).then_some(check)
    });
    assert!(
        told.await["data"]["lastError"]
            .as_str()
            .unwrap()
            .contains("406")
    );

    // It is killed in mid-job, and comes back.
    announce(&client, 2).await;
    webhook.until_called(2).await;
    rabbit.process.kill().await.unwrap();
    until_consumer(&worker, "Unhealthy").await;
    rabbit.process.start_again().await.unwrap();
    until_consumer(&worker, "Healthy").await;
    hub.notified(2).await;

    // It is frozen in mid-job: connections stand, and only heartbeats tell.
    let client = AmqpClient::connect(&url).await;
    announce(&client, 3).await;
    webhook.until_called(3).await;
    rabbit.process.freeze().await.unwrap();
    let check = until_consumer(&worker, "Unhealthy").await;
    assert!(check["data"]["lastError"].is_string(), "{check}");
    hub.notified(3).await;
    rabbit.process.thaw().await.unwrap();
    until_consumer(&worker, "Healthy").await;

    let client = AmqpClient::connect(&url).await;
    announce(&client, 4).await;
    hub.notified(4).await;
    // What came again was found taken, and is gone.
    client.until_depth(REQUESTS, 0).await;
    assert_settled(&client, worker).await;
    for job in 1..=4 {
        assert_eq!(results_of(&hub, job), 1, "job {job}");
    }
    assert_eq!(webhook.received().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_exist_otherwise_end_the_start_with_their_name() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    worker(&hub, &url, &webhook, &[]).await.leave().await;
    let other = [("RABBITMQ_URL", url.as_str()), ("RabbitMq__MaxLength", "7")];
    let error = Worker::start(&hub, &other).await.ended().await.unwrap_err();
    let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    for needed in [REQUESTS, "x-max-length", "RabbitMq__RequestQueue"] {
        assert!(text.contains(needed), "{text}");
    }
}
