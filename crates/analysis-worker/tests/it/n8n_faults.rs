//! A webhook that fails in every way that webhooks fail.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use shared_dto::jobs::RetryRequest;
use tokio::time::Instant;

use crate::{
    hub::{Call, Hub, job},
    photos,
    webhook::{Deed, Webhook},
    worker::Worker,
};

const TIMES: [(&str, &str); 3] = [
    ("N8N__TimeoutSeconds", "2"),
    ("N8N__ReadTimeout", "1"),
    ("N8N__ConnectTimeout", "1"),
];

/// How the attempt is given back when the webhook does `deed`.
async fn given_back(deed: Deed) -> RetryRequest {
    let hub = Hub::start().await;
    let webhook = Webhook::start([deed]).await;
    let url = webhook.url();
    let settings: Vec<_> = TIMES
        .into_iter()
        .chain([("N8N__WebhookUrl", url.as_str())])
        .collect();
    let _worker = Worker::start(&hub, &settings).await;
    hub.queue(1, photos::leaf());
    let given_back = hub.given_back(1).await;
    assert_eq!(webhook.received().len(), 1, "one call an attempt");
    assert!(!given_back.hand_back);
    assert!(given_back.user_message.ends_with('.'), "{given_back:?}");
    assert!(!given_back.user_message.contains("n8n"), "{given_back:?}");
    given_back
}

fn gzip_of_zeros(megabytes: usize) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .args(["-9", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for _ in 0..megabytes {
            input.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
    });
    let output = gzip.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_result_are_failed_attempts() {
    let html = b"<html><body><h1>502 Bad Gateway</h1></body></html>";
    for deed in [
        Deed::answer("200 OK", "content-type: text/html\r\n", html),
        Deed::json(""),
        Deed::status("204 No Content"),
        Deed::json(r#"{"overallHealthScore":6"#),
        Deed::json(r#"{"overallHealthScore":600}"#),
        Deed::json("[]"),
        // Fewer bytes than announced.
        Deed::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"score\":5".to_vec()),
        Deed::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"sco".to_vec()),
        Deed::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        Deed::answer(
            "200 OK",
            "content-encoding: gzip\r\n",
            b"\x1f\x8b\x08\x00 broken",
        ),
    ] {
        let given_back = given_back(deed).await;
        assert!(given_back.error.contains("n8n"), "{given_back:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_answers_are_cut_off_however_they_are_packed() {
    let huge = Deed::json(&format!("\"{}\"", "x".repeat(20 << 20)));
    assert!(given_back(huge).await.error.contains("longer than"));
    let bomb = gzip_of_zeros(256);
    assert!(bomb.len() < 1 << 20);
    let bomb = Deed::answer("200 OK", "content-encoding: gzip\r\n", &bomb);
    assert!(given_back(bomb).await.error.contains("longer than"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_and_retry_after_is_handed_on() {
    for status in [
        "500 Oops",
        "502 Bad Gateway",
        "504 Gateway Timeout",
        "404 Not Found",
    ] {
        let given_back = given_back(Deed::status(status)).await;
        assert!(given_back.error.contains(&status[..3]), "{given_back:?}");
        assert_eq!(given_back.retry_after_seconds, None);
    }
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let busy = Deed::answer(status, "retry-after: 17\r\n", b"");
        assert_eq!(given_back(busy).await.retry_after_seconds, Some(17));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_not_pass_fails_for_good() {
    for status in [
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "413 Too Large",
    ] {
        let hub = Hub::start().await;
        let webhook = Webhook::start([Deed::status(status)]).await;
        let url = webhook.url();
        let _worker = Worker::start(&hub, &[("N8N__WebhookUrl", url.as_str())]).await;
        hub.queue(1, photos::leaf());
        let body = hub.notified(1).await;
        assert_eq!(body["type"], "analysis.failed");
        assert!(
            body["notification"]["errorMessage"]
                .as_str()
                .unwrap()
                .ends_with('.')
        );
        assert!(
            !hub.calls()
                .iter()
                .any(|call| matches!(call, Call::Retry(..)))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let inside = Webhook::start([]).await;
    for status in [
        "301 Moved",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let location = format!("location: {}\r\n", inside.url());
        given_back(Deed::answer(status, &location, b"")).await;
    }
    assert!(inside.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_slowness_end_at_their_deadlines() {
    for (deed, says) in [
        (Deed::Hang, "within 2s"),
        // Each byte comes in time, the whole does not.
        (Deed::Dribble(Duration::from_millis(300)), "within 2s"),
        (Deed::Dribble(Duration::from_secs(60)), "paused"),
    ] {
        let began = Instant::now();
        let given_back = given_back(deed.clone()).await;
        assert!(given_back.error.contains(says), "{deed:?}: {given_back:?}");
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_tried_again_with_the_same_key() {
    let hub = Hub::start().await;
    let webhook = Webhook::start([
        Deed::After(Duration::from_millis(100), Box::new(Deed::Reset)),
        Deed::status("500 Oops"),
    ])
    .await;
    let url = webhook.url();
    let _worker = Worker::start(&hub, &[("N8N__WebhookUrl", url.as_str())]).await;
    for attempt in 1..=3 {
        let mut job = job(1);
        (job.attempt, job.token) = (attempt, format!("token-{attempt}"));
        hub.queue_job(job, photos::leaf());
        webhook.until_called(attempt as usize).await;
    }
    hub.notified(1).await;
    let calls = webhook.received();
    assert_eq!(calls.len(), 3);
    assert!(
        calls
            .iter()
            .all(|call| call.header("idempotency-key") == Some("key-of-1"))
    );
    assert_eq!(calls[2].field("attempt").as_deref(), Some("3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_not_there_is_a_failed_attempt() {
    let hub = Hub::start().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhook/x", closed.local_addr().unwrap());
    drop(closed);
    let _worker = Worker::start(&hub, &[("N8N__WebhookUrl", url.as_str())]).await;
    hub.queue(1, photos::leaf());
    let given_back = hub.given_back(1).await;
    assert!(
        given_back.error.contains("cannot be reached"),
        "{given_back:?}"
    );
    assert!(
        !given_back.error.contains("/webhook/x"),
        "the address may hold a key"
    );
}
