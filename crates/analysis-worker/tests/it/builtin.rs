//! The built-in analyser, from lease to outcome.

use crate::{
    hub::{Call, Fault, Hub, Route, job, notifications},
    photos,
    worker::Worker,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_becomes_a_result_with_its_overlay_before_it() {
    let hub = Hub::start().await;
    let worker = Worker::start(&hub, &[]).await;
    hub.queue(1, photos::leaf());
    let body = hub.notified(1).await;

    assert_eq!(body["type"], "analysis.completed");
    assert_eq!(body["userId"], 42);
    assert_eq!(body["attempt"]["token"], "token-of-1");
    let notification = &body["notification"];
    assert_eq!(notification["analysisId"], 1_001);
    assert_eq!(notification["status"], "Completed");
    assert_eq!(notification["cropType"], "wheat");
    assert_eq!(notification["imageUrl"], "/images/1001");
    assert_eq!(notification["deepLink"], "app://analysis/1001");
    assert!(
        notification["overallHealthScore"]
            .as_u64()
            .is_some_and(|score| score < 100)
    );
    assert!(notification["primaryConcern"].is_string());
    assert_eq!(
        body["result"]["overallHealthScore"],
        notification["overallHealthScore"]
    );
    assert!(
        body["result"]["symptoms"]
            .as_array()
            .is_some_and(|found| !found.is_empty())
    );

    let calls = hub.calls();
    let position = |wanted: fn(&Call) -> bool| calls.iter().position(wanted).unwrap();
    let overlay = position(|call| matches!(call, Call::Overlay { .. }));
    assert!(overlay < position(|call| matches!(call, Call::Notify { .. })));
    let Call::Overlay {
        analysis,
        token,
        media_type,
        bytes,
    } = &calls[overlay]
    else {
        unreachable!()
    };
    assert_eq!((*analysis, token.as_str()), (1_001, "token-of-1"));
    assert!(media_type.starts_with("image/") && *bytes > 1_000);
    assert!(hub.every_call_had_the_secret());
    worker.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_attempt_can_analyse_fails_for_good_with_words_for_the_user() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[]).await;
    let mut cut = photos::leaf();
    cut.truncate(400);
    hub.queue(1, photos::wall());
    hub.queue(2, b"PK\x03\x04 this is a zip".to_vec());
    hub.queue(3, Vec::new());
    hub.queue(4, cut);
    hub.queue(5, vec![0; 11 << 20]);
    hub.queue_job(job(6), Vec::new());
    hub.fail(Route::Photo, []);
    for job in 1..=6 {
        let body = hub.notified(job).await;
        assert_eq!(body["type"], "analysis.failed", "{job}: {body}");
        assert!(body["result"].is_null());
        let message = body["notification"]["errorMessage"].as_str().unwrap();
        assert!(message.len() > 10 && !message.contains("Err"), "{message}");
        if job == 1 {
            assert_eq!(message, "No plant found in the photo");
        }
    }
    assert!(
        !hub.calls()
            .iter()
            .any(|call| matches!(call, Call::Retry(..)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_that_is_gone_fails_for_good_and_one_that_is_late_is_waited_for() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[]).await;
    let mut missing = job(1);
    missing.image_path = None;
    hub.queue_job(missing, Vec::new());
    assert_eq!(hub.notified(1).await["type"], "analysis.failed");

    let lost = [
        Fault::Status(503, None),
        Fault::AnswerLost,
        Fault::Status(500, None),
    ];
    hub.fail(Route::Photo, lost);
    hub.queue(2, photos::leaf());
    assert_eq!(hub.notified(2).await["type"], "analysis.completed");
    assert!(
        !hub.calls()
            .iter()
            .any(|call| matches!(call, Call::Retry(..)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_inside_the_private_network_is_not_fetched() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[]).await;
    let addresses = [
        format!("https://127.0.0.1:{}/internal/analyses/1/image", hub.port),
        format!("http://127.0.0.1:{}/internal/analyses/1/image", hub.port),
        "https://2130706433/".to_owned(),
        "https://[::ffff:169.254.169.254]/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    for (number, address) in (1..).zip(addresses) {
        let mut job = job(number);
        (job.image_path, job.image_url) = (None, Some(address));
        hub.queue_job(job, Vec::new());
        let body = hub.notified(number).await;
        assert_eq!(body["type"], "analysis.failed");
        let message = body["notification"]["errorMessage"].as_str().unwrap();
        assert_eq!(message, "Photos cannot be fetched from this address.");
    }
    assert_eq!(hub.arrived(Route::Photo), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_all_end_and_never_more_run_than_there_are_slots() {
    let hub = Hub::start().await;
    let _worker = Worker::start(&hub, &[("Worker__Concurrency", "3")]).await;
    for job in 1..=40 {
        hub.queue(job, photos::leaf());
    }
    for job in 1..=40 {
        hub.notified(job).await;
    }
    let calls = hub.calls();
    for job in 1..=40 {
        assert_eq!(notifications(&calls, job).len(), 1);
    }
    let most = calls.iter().filter_map(|call| match call {
        Call::Lease(request) => Some(request.max_jobs),
        _ => None,
    });
    assert_eq!(most.max(), Some(3));
}
