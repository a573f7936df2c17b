//! A worker that is told to leave.

use std::time::Duration;

use crate::{
    hub::{Call, Fault, Hub, Route, notifications},
    photos,
    webhook::{Deed, GOOD, Webhook},
    worker::Worker,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ends_within_the_grace_is_finished() {
    let hub = Hub::start().await;
    let late = Deed::After(Duration::from_millis(500), Box::new(Deed::json(GOOD)));
    let webhook = Webhook::start([late]).await;
    let url = webhook.url();
    let settings = [("N8N__WebhookUrl", url.as_str()), ("Worker__Grace", "20")];
    let worker = Worker::start(&hub, &settings).await;
    hub.queue(1, photos::leaf());
    webhook.until_called(1).await;
    hub.until_asked_by(1).await;
    worker.shutdown.soft.cancel();
    // The request that waits for jobs would still get this one.
    hub.until_asked_by(0).await;
    hub.queue(2, photos::leaf());
    worker.leave().await;
    assert_eq!(notifications(&hub.calls(), 1).len(), 1);
    assert!(
        notifications(&hub.calls(), 2).is_empty(),
        "no more jobs are taken"
    );
    assert!(
        !hub.calls()
            .iter()
            .any(|call| matches!(call, Call::Retry(..)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_does_not_end_in_time_is_handed_back_uncounted() {
    let hub = Hub::start().await;
    let webhook = Webhook::start([Deed::Hang, Deed::Hang]).await;
    let url = webhook.url();
    let settings = [
        ("N8N__WebhookUrl", url.as_str()),
        ("Worker__Grace", "200ms"),
    ];
    let worker = Worker::start(&hub, &settings).await;
    hub.queue(1, photos::leaf());
    hub.queue(2, photos::leaf());
    webhook.until_called(2).await;
    worker.leave().await;
    for job in [1, 2] {
        assert!(hub.given_back(job).await.hand_back);
        assert!(notifications(&hub.calls(), job).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_still_waits_for_the_hub_gets_its_chance() {
    let hub = Hub::start().await;
    let worker = Worker::start(&hub, &[("Worker__Grace", "100ms")]).await;
    hub.fail(
        Route::Notify,
        [Fault::Status(500, None), Fault::Status(500, None)],
    );
    hub.queue(1, photos::leaf());
    hub.until("the overlay", |calls| {
        calls
            .iter()
            .any(|call| matches!(call, Call::Overlay { .. }))
            .then_some(())
    })
    .await;
    worker.leave().await;
    assert_eq!(notifications(&hub.calls(), 1).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_leaves_even_when_the_hub_is_gone() {
    let mut hub = Hub::start().await;
    let webhook = Webhook::start([Deed::Hang]).await;
    let url = webhook.url();
    let settings = [
        ("N8N__WebhookUrl", url.as_str()),
        ("Worker__Grace", "100ms"),
    ];
    let worker = Worker::start(&hub, &settings).await;
    hub.queue(1, photos::leaf());
    webhook.until_called(1).await;
    hub.kill().await;
    worker.leave().await;
}
