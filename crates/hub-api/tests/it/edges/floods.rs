//! Floods of each kind against one hub, while a known user's notifications go on
//! arriving. Only the arrival is asserted; how long it took is printed, a line
//! of a table for each attack (`docs/PERFORMANCE.md` has them).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    client::Client,
    harness::{Hub, INTERNAL_SECRET},
};

const NOTIFICATIONS: usize = 40;
/// Attackers that work at the same time.
const ATTACKERS: usize = 64;

/// Sends the known user notifications of `flood` one after the other, each
/// received before the next, for as long as it is not over and at least so many.
async fn notify(hub: &Hub, flood: &str, over: &AtomicBool) -> Vec<Duration> {
    let mut client = Client::connect(hub, flood).await;
    // Who does not say where it stands waits a second for its first notification.
    client.resume(0).await;
    client.message(3).await;
    let mut took = Vec::new();
    while took.len() < NOTIFICATIONS || !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        let body = json!({"event": "Known", "userId": flood, "payload": {"number": took.len()}});
        hub.call("/internal/notify", &body, 202).await;
        let seen = client.event("Known").await;
        assert_eq!(seen[0]["number"], took.len());
        took.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    took
}

/// A line of a table: post to event, in milliseconds.
fn report(flood: &str, attempts: usize, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    eprintln!(
        "| {flood} | {attempts} | {} | {:.1} | {:.1} | {:.1} |",
        took.len(),
        at(50),
        at(99),
        at(100)
    );
}

/// Runs `attack` from many sides, `each` times from each, beside the known user.
async fn flood<A, F>(hub: &Hub, name: &str, each: usize, attack: A)
where
    A: Fn(String) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let over = Arc::new(AtomicBool::new(false));
    let attempts = Arc::new(AtomicUsize::new(0));
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        let (attack, address, attempts) = (attack.clone(), hub.address(), Arc::clone(&attempts));
        attackers.spawn(async move {
            for _ in 0..each {
                attack(address.clone()).await;
                attempts.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let ended = Arc::clone(&over);
    let watch = tokio::spawn(async move {
        let mut failed = None;
        while let Some(ended) = attackers.join_next().await {
            failed = failed.or(ended.err());
        }
        ended.store(true, Ordering::Relaxed);
        failed
    });
    let took = notify(hub, name, &over).await;
    let failed = watch.await.unwrap();
    assert!(failed.is_none(), "{name}: {failed:?}");
    report(name, attempts.load(Ordering::Relaxed), took);
}

/// Sends a request and reads the first line of its answer.
async fn request(address: String, text: String) -> String {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return String::new();
    };
    let mut answer = vec![0; 64];
    if stream.write_all(text.as_bytes()).await.is_err() {
        return String::new();
    }
    let read = stream.read(&mut answer).await.unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

/// Sends what is not authenticated.
async fn refused(address: String, text: String) {
    let answer = request(address, text).await;
    let refused = answer.starts_with("HTTP/1.1 401") || answer.starts_with("HTTP/1.1 429");
    assert!(refused, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connects_without_a_token() {
    let hub = Hub::as_process(&[]).await;
    flood(&hub, "connects without a token", 10_000 / ATTACKERS + 1, async |address| {
        let text = "POST /hubs/plantanalysis/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: x\r\n\
                    Content-Length: 0\r\nConnection: close\r\n\r\n";
        refused(address, text.to_owned()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_nobody_signed() {
    let hub = Hub::as_process(&[]).await;
    for (name, target) in [
        ("false tokens on REST", "GET /api/v1/notifications"),
        (
            "false tokens on the hub",
            "POST /hubs/plantanalysis/negotiate",
        ),
    ] {
        flood(&hub, name, 60, move |address| {
            let text = format!(
                "{target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
            refused(address, text)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_and_idle_sockets() {
    let hub = Hub::as_process(&[
        ("Server__HeaderTimeout", "1s"),
        ("Server__FirstByteTimeout", "1s"),
    ])
    .await;
    // Each holds its connection until the hub closes it.
    flood(&hub, "slow heads", 8, async |address| {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            return;
        };
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await;
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    flood(&hub, "idle sockets", 8, async |address| {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let read = stream.read(&mut [0]).await;
            assert!(matches!(read, Ok(0) | Err(_)), "the hub spoke first");
        }
    })
    .await;
}

/// An internal call of a source behind a proxy that is trusted.
fn internal(path: &str, source: &str, secret: &str) -> String {
    let method = if path == "/metrics" { "GET" } else { "POST" };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {source}\r\n\
         X-Internal-Secret: {secret}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_calls() {
    let hub = Hub::as_process(&[("Server__TrustedProxies", "127.0.0.0/8, ::1")]).await;
    flood(&hub, "wrong internal secrets", 60, |address| {
        let text = internal("/internal/notify", "203.0.113.9", "wrong");
        refused(address, text)
    })
    .await;
    for (name, path) in [
        ("internal calls of one source", "/internal/notify"),
        ("broadcasts of one source", "/internal/broadcast"),
        ("questions for jobs of one source", "/internal/jobs/lease"),
    ] {
        flood(&hub, name, 60, move |address| {
            // Its secret is right and its body is none.
            let text = internal(path, "203.0.113.10", INTERNAL_SECRET);
            async move {
                let answer = request(address, text).await;
                assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
            }
        })
        .await;
    }
    flood(&hub, "figures for one source", 60, async |address| {
        let answer = request(address, internal("/metrics", "203.0.113.11", "wrong")).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_calls_of_one_user() {
    let hub = Hub::as_process(&[
        ("Limits__UploadsPerMinute", "10"),
        ("Limits__InvocationsPerMinute", "100"),
    ])
    .await;
    let token = hub.token("66");
    let upload = format!(
        "POST /api/v1/plantanalyses/analyze-async HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    );
    flood(&hub, "uploads of one user", 60, move |address| {
        let upload = upload.clone();
        async move {
            let answer = request(address, upload).await;
            let refused = answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.1 429");
            assert!(refused, "{answer}");
        }
    })
    .await;
    let mut caller = Client::connect(&hub, "66").await;
    let calls = tokio::spawn(async move {
        for id in 0..2_000 {
            let call = format!(
                "{{\"type\":1,\"invocationId\":\"{id}\",\"target\":\"Ping\",\"arguments\":[]}}\u{1e}"
            );
            caller.send(&call).await;
        }
        let refused = caller.find(|message| message["error"].is_string()).await;
        assert!(refused["error"].as_str().unwrap().contains("too often"));
    });
    let name = "calls of one user";
    let took = notify(&hub, name, &AtomicBool::new(true)).await;
    calls.await.unwrap();
    report(name, 2_000, took);
}
