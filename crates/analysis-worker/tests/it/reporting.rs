//! Results reach the hub, whatever happens to the calls that carry them.

use std::{collections::HashSet, time::Duration};

use serde_json::Value;

use crate::{
    hub::{Call, Fault, Hub, Route, job, notifications},
    photos,
    webhook::{Deed, GOOD, Webhook},
    worker::Worker,
};

fn posts(calls: &[Call]) -> Vec<(String, Value)> {
    let post = |call: &Call| match call {
        Call::Notify { key, body } => Some((key.clone(), body.clone())),
        _ => None,
    };
    calls.iter().filter_map(post).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_posted_until_the_hub_has_it_and_every_post_is_the_same() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[]).await;
    let faults = [
        Fault::Status(500, None),
        // Committed, but the worker cannot know.
        Fault::AnswerLost,
        Fault::Status(503, None),
        Fault::AnswerLost,
        Fault::Status(408, None),
    ];
    hub.fail(Route::Notify, faults);
    hub.queue(1, photos::leaf());
    hub.until("the last post", |calls| {
        (posts(calls).len() == 3).then_some(())
    })
    .await;
    let posts = posts(&hub.calls());
    assert!(posts.iter().all(|post| *post == posts[0]), "{posts:#?}");
    assert!(posts[0].0.contains("token-of-1"));
    assert_eq!(hub.arrived(Route::Notify), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_have_keys_of_their_own() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[]).await;
    for attempt in 1..=3 {
        let mut job = job(1);
        job.token = format!("token {attempt}").replace(' ', "-");
        hub.queue_job(job, photos::leaf());
        hub.until("a post", |calls| {
            (posts(calls).len() == attempt).then_some(())
        })
        .await;
    }
    let keys: HashSet<String> = posts(&hub.calls())
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_obeyed() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[]).await;
    hub.fail(Route::Notify, [Fault::Status(429, Some(2))]);
    hub.queue(1, photos::leaf());
    hub.notified(1).await;
    let [refused, taken] = hub.times_of(Route::Notify)[..] else {
        panic!("{:#?}", hub.calls());
    };
    assert!(taken - refused > Duration::from_millis(1_500));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_result_is_not_posted_again_but_given_back() {
    for status in [400, 422] {
        let hub = Hub::start().await;
        let _worker = Worker::start(&hub, &[]).await;
        hub.fail(Route::Notify, [Fault::Status(status, None)]);
        hub.queue(1, photos::leaf());
        let given_back = hub.given_back(1).await;
        assert!(
            given_back.error.contains(&status.to_string()),
            "{given_back:?}"
        );
        assert!(!given_back.hand_back && !given_back.user_message.is_empty());
        assert_eq!(hub.arrived(Route::Notify), 1);
    }
}

/// An operator mends the worker's secret or the allow-list; the result is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_kept_while_the_hub_refuses_the_worker() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[]).await;
    hub.fail(Route::Notify, [Fault::Status(401, None)]);
    hub.queue(1, photos::leaf());
    hub.notified(1).await;
    assert_eq!(hub.arrived(Route::Notify), 2);
    let gave_back = |call: &Call| matches!(call, Call::Retry(..));
    assert!(!hub.calls().iter().any(gave_back));
}

/// What a proxy answers while the hub is deployed anew is no word of the hub.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_not_the_hubs_own_decides_nothing() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[("WebAPI__BreakerPause", "100ms")]).await;
    for (route, status) in [
        (Route::Photo, 404),
        (Route::Heartbeat, 410),
        (Route::Overlay, 403),
        (Route::Notify, 404),
        (Route::Notify, 409),
    ] {
        hub.fail(route, [Fault::Edge(status)]);
    }
    hub.queue(1, photos::leaf());
    assert_eq!(hub.notified(1).await["type"], "analysis.completed");
    assert_eq!(hub.arrived(Route::Notify), 3);
    assert_eq!(hub.arrived(Route::Photo), 2);
    let gave_back = |call: &Call| matches!(call, Call::Retry(..));
    assert!(!hub.calls().iter().any(gave_back));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_of_a_lost_attempt_is_dropped_and_the_slot_is_free() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[("Worker__Concurrency", "1")]).await;
    hub.fail(Route::Notify, [Fault::Status(409, None)]);
    hub.queue(1, photos::leaf());
    hub.queue(2, photos::leaf());
    hub.notified(2).await;
    assert_eq!(hub.arrived(Route::Notify), 2);
    assert!(notifications(&hub.calls(), 1).is_empty());
    assert!(
        !hub.calls()
            .iter()
            .any(|call| matches!(call, Call::Retry(..)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_ends_the_attempt_while_it_runs() {
    let hub = Hub::start().await;
    let webhook = Webhook::start([Deed::Hang]).await;
    let url = webhook.url();
    let settings = [
        ("N8N__WebhookUrl", url.as_str()),
        ("Worker__Concurrency", "1"),
    ];
    let _worker = Worker::start(&hub, &settings).await;
    hub.queue(1, photos::leaf());
    webhook.until_called(1).await;
    hub.fail(Route::Heartbeat, [Fault::Status(409, None)]);
    hub.queue(2, photos::leaf());
    hub.notified(2).await;
    assert!(notifications(&hub.calls(), 1).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_kept_alive_while_n8n_works_and_while_the_result_waits() {
    let hub = Hub::start().await;
    let late = Deed::After(Duration::from_millis(1_500), Box::new(Deed::json(GOOD)));
    let webhook = Webhook::start([late]).await;
    let url = webhook.url();
    let _worker = Worker::start(&hub, &[("N8N__WebhookUrl", url.as_str())]).await;
    hub.fail(Route::Notify, [Fault::Status(503, Some(1))]);
    let mut job = job(1);
    job.lease_seconds = 1;
    hub.queue_job(job, photos::leaf());
    hub.notified(1).await;
    let beats = hub
        .calls()
        .iter()
        .filter(|call| matches!(call, Call::Heartbeat(1, _)))
        .count();
    assert!(beats >= 2, "{beats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_dies_and_comes_back_gets_every_result() {
    let mut hub = Hub::start().await;
    let late = || Deed::After(Duration::from_millis(700), Box::new(Deed::json(GOOD)));
    let webhook = Webhook::start((0..8).map(|_| late())).await;
    let url = webhook.url();
    let _worker = Worker::start(&hub, &[("N8N__WebhookUrl", url.as_str())]).await;
    for job in 1..=8 {
        hub.queue(job, photos::leaf());
    }
    webhook.until_called(8).await;
    hub.kill().await;
    // Long enough that all have their results, fail to post them and open the breaker.
    tokio::time::sleep(Duration::from_secs(2)).await;
    hub.revive().await;
    for job in 1..=8 {
        let body = hub.notified(job).await;
        assert_eq!(body["notification"]["overallHealthScore"], 64);
    }
    assert_eq!(webhook.received().len(), 8, "no analysis was made twice");
    assert!(
        !hub.calls()
            .iter()
            .any(|call| matches!(call, Call::Retry(..)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_not_there_at_the_start_is_waited_for() {
    let mut hub = Hub::start().await;
    hub.kill().await;
    let _worker = Worker::start(&hub, &[]).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    hub.queue(1, photos::leaf());
    hub.revive().await;
    assert_eq!(hub.notified(1).await["type"], "analysis.completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_leaves_the_hub_alone() {
    let hub = Hub::start().await;
    hub.fail(Route::Lease, (0..1_000).map(|_| Fault::Status(500, None)));
    let _worker = Worker::start(&hub, &[("WebAPI__BreakerPause", "10m")]).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let arrived = hub.arrived(Route::Lease);
    assert!(arrived <= 5, "{arrived}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_kept_alive_however_long_the_hub_asks_to_wait() {
    let hub = Hub::start().await;
    let late = Deed::After(Duration::from_millis(1_500), Box::new(Deed::json(GOOD)));
    let webhook = Webhook::start([late]).await;
    let url = webhook.url();
    let _worker = Worker::start(&hub, &[("N8N__WebhookUrl", url.as_str())]).await;
    hub.fail(Route::Heartbeat, [Fault::Status(429, Some(3_600))]);
    let mut job = job(1);
    job.lease_seconds = 1;
    hub.queue_job(job, photos::leaf());
    hub.notified(1).await;
    assert!(
        hub.calls()
            .iter()
            .any(|call| matches!(call, Call::Heartbeat(1, _)))
    );
}
