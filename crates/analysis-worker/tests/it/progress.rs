//! Progress on its way to the hub.

use shared_dto::analysis::Progress;

use crate::{
    hub::{Call, Fault, Hub, Route},
    photos,
    worker::Worker,
};

fn told(calls: &[Call]) -> Vec<Progress> {
    let told = |call: &Call| match call {
        Call::Heartbeat(_, request) => request.progress.clone(),
        _ => None,
    };
    calls.iter().filter_map(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_step_is_told_and_none_after_the_result() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[("Worker__Concurrency", "1")]).await;
    for job in 1..=5 {
        hub.queue(job, photos::leaf());
        hub.notified(job).await;
    }
    hub.queue(6, photos::wall());
    hub.notified(6).await;
    let calls = hub.calls();
    for job in 1..=6 {
        let ended = calls.iter().position(
            |call| matches!(call, Call::Notify { body, .. } if body["attempt"]["jobId"] == job),
        );
        let (before, after) = calls.split_at(ended.unwrap());
        let of = |calls: &[Call]| {
            let own: Vec<Call> = calls
                .iter()
                .filter(|call| matches!(call, Call::Heartbeat(of, _) if *of == job))
                .cloned()
                .collect();
            told(&own)
        };
        let (before, after) = (of(before), of(after));
        assert!(after.is_empty(), "{job}: {after:?}");
        assert!(!before.is_empty(), "{job}");
        assert!(
            before.is_sorted_by_key(|progress| progress.percent),
            "{before:?}"
        );
        assert!(
            before
                .iter()
                .all(|p| !p.stage.is_empty() && !p.message.is_empty())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_that_cannot_be_told_delays_no_result() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[]).await;
    hub.fail(
        Route::Heartbeat,
        (0..100).map(|_| Fault::Status(429, Some(600))),
    );
    hub.queue(1, photos::leaf());
    assert_eq!(hub.notified(1).await["type"], "analysis.completed");
}
