//! Good messages, repeated ones, and poison.

use private_services::{AmqpClient, RabbitMq, lapin::types::AMQPValue};

use super::*;
use crate::{
    hub::{Call, Fault, Route},
    photos,
    webhook::{Deed, GOOD},
};

/// Its first question for jobs is open for as long as none comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_waits_for_its_first_job_is_well() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    let worker = worker(&hub, &url, &webhook, &[]).await;
    let told = until("a worker that is well", async || {
        let report = report(&worker).await;
        (report["status"] == "Healthy").then_some(report)
    })
    .await;
    let answered = &told["checks"]["leaseLoop"]["data"]["secondsSinceLastSuccess"];
    assert!(answered.is_null(), "it was well only then: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_claimed_analysed_reported_and_settled() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    let worker = worker(&hub, &url, &webhook, &[]).await;
    hub.claimable(1, photos::leaf());
    let client = AmqpClient::connect(&url).await;
    announce(&client, 1).await;
    let body = hub.notified(1).await;
    let token = hub.claims(1)[0].clone();
    assert_eq!(
        body["attempt"]["token"], token,
        "the token that it claimed with"
    );
    let leases = |call: &Call| matches!(call, Call::Lease(_));
    assert!(
        !hub.calls().iter().any(leases),
        "no long poll beside the broker"
    );
    assert_settled(&client, worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_five_times_is_one_call_to_n8n() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    let first = worker(&hub, &url, &webhook, &[]).await;
    let second = worker(&hub, &url, &webhook, &[]).await;
    hub.claimable(1, photos::leaf());
    let client = AmqpClient::connect(&url).await;
    for _ in 0..5 {
        announce(&client, 1).await;
    }
    hub.notified(1).await;
    until("five claims", async || {
        (hub.claims(1).len() >= 5).then_some(())
    })
    .await;
    first.leave().await;
    // A claim that it had no answer to yet was given back: the other has it, and
    // is done with it, before this job.
    hub.claimable(2, photos::leaf());
    announce(&client, 2).await;
    hub.notified(2).await;
    assert_settled(&client, second).await;
    assert_eq!(webhook.received().len(), 2, "one for each job");
    assert_eq!(results_of(&hub, 1), 1);
}

/// Empty, no JSON, another shape, ids that no job has, 20 MB: each is a dead
/// letter at its first delivery, and the next message is handled.
#[tokio::test(flavor = "multi_thread")]
async fn poison_goes_to_the_dead_letters_at_once() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    let worker = worker(&hub, &url, &webhook, &[("Worker__Concurrency", "1")]).await;
    let client = AmqpClient::connect(&url).await;
    let large = vec![b'['; 20 << 20];
    let poison: [&[u8]; 7] = [
        b"",
        b"{",
        b"\xff\xfe",
        br#"{"jobId":"1"}"#,
        br#"{"job":1}"#,
        br#"{"jobId":-1}"#,
        &large,
    ];
    for body in poison {
        client.publish(REQUESTS, body).await;
    }
    hub.claimable(1, photos::leaf());
    announce(&client, 1).await;
    hub.notified(1).await;
    client.until_depth(REQUESTS_DEAD, 7).await;
    for body in poison {
        let letter = client.get(REQUESTS_DEAD).await.unwrap().delivery;
        assert!(letter.data == body, "in order, unchanged");
        let headers = letter.properties.headers().clone().unwrap();
        let reason = AMQPValue::LongString("rejected".into());
        assert_eq!(headers.inner()["x-first-death-reason"], reason);
    }
    worker.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_answer_was_lost_is_the_same_claim_again() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let (hub, webhook) = (Hub::start().await, Webhook::start([]).await);
    let worker = worker(&hub, &url, &webhook, &[]).await;
    hub.claimable(1, photos::leaf());
    hub.fail(Route::Claim, [Fault::AnswerLost, Fault::Status(503, None)]);
    let client = AmqpClient::connect(&url).await;
    announce(&client, 1).await;
    hub.notified(1).await;
    let claims = hub.claims(1);
    assert_eq!(claims.len(), 2, "the refused one did not get through");
    assert_eq!(claims[0], claims[1]);
    assert_settled(&client, worker).await;
}

/// A worker with a slow job is given no others that it would only keep waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_job_starves_nobody() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = Hub::start().await;
    let slow = Deed::After(Duration::from_secs(3), Box::new(Deed::json(GOOD)));
    let (slow, quick) = (Webhook::start([slow]).await, Webhook::start([]).await);
    let one = [("Worker__Concurrency", "1")];
    let busy = worker(&hub, &url, &slow, &one).await;
    for job in 1..=6 {
        hub.claimable(job, photos::leaf());
    }
    let client = AmqpClient::connect(&url).await;
    announce(&client, 1).await;
    slow.until_called(1).await;
    for job in 2..=6 {
        announce(&client, job).await;
    }
    let idle = worker(&hub, &url, &quick, &one).await;
    for job in 2..=6 {
        hub.notified(job).await;
    }
    assert_eq!(results_of(&hub, 1), 0, "the slow one is not done yet");
    hub.notified(1).await;
    assert_eq!((slow.received().len(), quick.received().len()), (1, 5));
    busy.leave().await;
    assert_settled(&client, idle).await;
}

/// A parked job holds neither a slot nor a delivery.
#[tokio::test(flavor = "multi_thread")]
async fn a_parked_job_is_settled() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = Hub::start().await;
    let webhook = Webhook::start([Deed::status("202 Accepted")]).await;
    let worker = worker(&hub, &url, &webhook, &[("Worker__Concurrency", "1")]).await;
    hub.claimable(1, photos::leaf());
    hub.claimable(2, photos::leaf());
    let client = AmqpClient::connect(&url).await;
    announce(&client, 1).await;
    announce(&client, 2).await;
    hub.notified(2).await;
    assert_eq!(results_of(&hub, 1), 0);
    assert_settled(&client, worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_is_given_back_to_the_hub_and_not_to_the_queue() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = Hub::start().await;
    let webhook = Webhook::start([Deed::status("502 Bad Gateway")]).await;
    let worker = worker(&hub, &url, &webhook, &[]).await;
    hub.claimable(1, photos::leaf());
    let client = AmqpClient::connect(&url).await;
    announce(&client, 1).await;
    assert!(!hub.given_back(1).await.hand_back);
    assert_settled(&client, worker).await;
    assert_eq!(webhook.received().len(), 1);
}
