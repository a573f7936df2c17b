//! What an n8n workflow gets, and what becomes of its answers.

use std::time::Duration;

use shared_dto::jobs::OutsideReply;

use crate::{
    hub::{Call, Hub, job},
    photos,
    webhook::{Deed, GOOD, Webhook},
    worker::Worker,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_workflow_gets_the_photo_and_no_more_of_the_user_than_it_needs() {
    let hub = Hub::start().await;
    let webhook = Webhook::start([]).await;
    let url = webhook.url();
    let settings = [
        ("N8N__WebhookUrl", url.as_str()),
        ("N8N__AuthHeader", "X-Api-Key"),
        ("N8N__AuthSecret", "secret of n8n"),
    ];
    let _worker = Worker::start(&hub, &settings).await;
    hub.queue(1, photos::leaf());
    let body = hub.notified(1).await;
    assert_eq!(body["result"]["analyser"], "n8n");
    assert_eq!(body["result"]["details"]["model"], "m1");
    assert_eq!(body["notification"]["primaryConcern"], "Leaf rust");
    assert_eq!(body["notification"]["cropType"], "wheat");

    let received = webhook.received();
    assert_eq!(received.len(), 1);
    let call = &received[0];
    assert!(
        call.head
            .starts_with("POST /webhook/plant-analysis HTTP/1.1")
    );
    assert_eq!(call.header("idempotency-key"), Some("key-of-1"));
    assert_eq!(call.header("x-api-key"), Some("secret of n8n"));
    assert!(call.header("x-internal-secret").is_none());
    for (field, value) in [
        ("analysisId", "1001"),
        ("attempt", "1"),
        ("idempotencyKey", "key-of-1"),
        ("cropType", "wheat"),
        ("notes", "on the north field"),
        ("progressUrl", "http://hub.example/callbacks/1/progress?s=1"),
        ("resultUrl", "http://hub.example/callbacks/1/result?s=1"),
    ] {
        assert_eq!(call.field(field).as_deref(), Some(value), "{field}");
    }
    assert_eq!(call.field("userId"), None);
    let photo = photos::leaf();
    assert!(call.body.windows(photo.len()).any(|bytes| bytes == photo));
    let text = String::from_utf8_lossy(&call.body).into_owned();
    assert!(text.contains("filename=\"analysis-1001.jpeg\""));
    assert!(text.contains("Content-Type: image/jpeg"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_202_parks_the_job_and_frees_the_slot() {
    for deed in [
        Deed::status("202 Accepted"),
        Deed::json(r#"{"message":"Workflow was started"}"#),
    ] {
        let hub = Hub::start().await;
        let webhook = Webhook::start([deed]).await;
        let url = webhook.url();
        let settings = [
            ("N8N__WebhookUrl", url.as_str()),
            ("N8N__ParkSeconds", "77"),
            ("Worker__Concurrency", "1"),
        ];
        let _worker = Worker::start(&hub, &settings).await;
        hub.queue(1, photos::leaf());
        hub.queue(2, photos::leaf());
        hub.notified(2).await;
        let beats: Vec<_> = hub
            .calls()
            .into_iter()
            .filter_map(|call| match call {
                Call::Heartbeat(1, request) => Some(request),
                _ => None,
            })
            .collect();
        // A heartbeat after it would wake the parked job.
        let parked = beats.last().unwrap();
        assert_eq!(parked.park_seconds, Some(77));
        assert_eq!(parked.progress.as_ref().unwrap().stage, "analysing");
        assert_eq!(
            beats
                .iter()
                .filter(|beat| beat.park_seconds.is_some())
                .count(),
            1
        );
        assert!(
            !hub.calls()
                .iter()
                .any(|call| matches!(call, Call::Retry(..)))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_a_reply_is_only_mapped_whatever_the_analyser() {
    for settings in [
        vec![],
        vec![("N8N__WebhookUrl", "http://127.0.0.1:9/never-called")],
    ] {
        let hub = Hub::start().await;
        let _worker = Worker::start(&hub, &settings).await;
        let replied = |number, body: &str| {
            let mut job = job(number);
            job.reply = Some(OutsideReply {
                body: body.to_owned(),
            });
            job
        };
        hub.queue_job(replied(1, &format!("[{GOOD}]")), Vec::new());
        let failed = r#"{"status":"failed","errorMessage":"Too blurred to tell"}"#;
        hub.queue_job(replied(2, failed), Vec::new());
        hub.queue_job(replied(3, "<html>"), Vec::new());
        assert_eq!(hub.notified(1).await["result"]["overallHealthScore"], 64);
        let failed = hub.notified(2).await;
        assert_eq!(failed["type"], "analysis.failed");
        assert_eq!(
            failed["notification"]["errorMessage"],
            "Too blurred to tell"
        );
        assert!(hub.given_back(3).await.error.contains("no JSON"));
        assert!(!hub.calls().iter().any(|call| matches!(call, Call::Photo)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_another_analysis_is_refused() {
    let hub = Hub::start().await;
    let stray = r#"{"analysisId":5,"overallHealthScore":64}"#;
    let webhook = Webhook::start([Deed::After(Duration::ZERO, Box::new(Deed::json(stray)))]).await;
    let url = webhook.url();
    let _worker = Worker::start(&hub, &[("N8N__WebhookUrl", url.as_str())]).await;
    hub.queue(1, photos::leaf());
    assert!(
        hub.given_back(1)
            .await
            .error
            .contains("belongs to analysis 5")
    );
}
