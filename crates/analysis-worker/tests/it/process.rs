//! The binary: settings, signals, exit codes, logs.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use crate::{
    hub::{Hub, PATIENCE, SECRET},
    photos,
    webhook::{Deed, Webhook},
    worker::variables,
};

fn binary(hub: &Hub, more: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_analysis-worker"));
    command
        .env_clear()
        .env("CONFIG_DIR", "/nonexistent")
        .env("PORT", "0")
        .envs(variables(hub, more).into_iter().rev())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

async fn end(child: Child) -> Output {
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("it did not end")
        .unwrap()
        .unwrap()
}

/// Reads its log up to a line with `text`. What it writes later is lost with
/// the reader, so a test keeps that until the process has ended.
async fn logged(child: &mut Child, text: &'static str) -> BufReader<ChildStdout> {
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let reading = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let read = log.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended and never logged {text}");
        }
        log
    });
    let read = tokio::time::timeout(PATIENCE, reading).await;
    read.unwrap_or_else(|_| panic!("it does not log {text}"))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_with_0_and_its_log_shows_what_operators_look_for() {
    let hub = Hub::start().await;
    let child = binary(&hub, &[]).spawn().unwrap();
    hub.queue(1, photos::leaf());
    hub.notified(1).await;
    signal(&child, "TERM");
    let output = end(child).await;
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{log}");
    for line in [
        "[WORKER] analysis-worker starting in Production environment".to_owned(),
        format!("Internal secret loaded - Length: {}", SECRET.len()),
        format!("WebAPI URL loaded: http://127.0.0.1:{}", hub.port),
        "analysis completed".to_owned(),
    ] {
        assert!(log.contains(&line), "{line} in {log}");
    }
    for secret in [SECRET, "token-of-1", "north field"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_signal_ends_it_at_once() {
    let hub = Hub::start().await;
    let webhook = Webhook::start([Deed::Hang]).await;
    let url = webhook.url();
    let settings = [("N8N__WebhookUrl", url.as_str()), ("Worker__Grace", "10m")];
    let mut child = binary(&hub, &settings).spawn().unwrap();
    hub.queue(1, photos::leaf());
    webhook.until_called(1).await;
    signal(&child, "TERM");
    // Two signals that come before the first is noticed are one.
    let _log = logged(&mut child, "leaving: no more jobs are taken").await;
    signal(&child, "TERM");
    assert_eq!(end(child).await.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn unsafe_settings_are_all_named_and_nothing_starts() {
    let hub = Hub::start().await;
    let settings = [
        ("ZIRAAI_INTERNAL_SECRET", "${SECRET}"),
        ("N8N__WebhookUrl", "n8n.example.com"),
    ];
    let output = end(binary(&hub, &settings).spawn().unwrap()).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("n8n.webhook_url"), "{said}");
    let settings = [
        ("ZIRAAI_INTERNAL_SECRET", "${SECRET}"),
        ("Worker__PollSeconds", "99"),
    ];
    let output = end(binary(&hub, &settings).spawn().unwrap()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("hub.secret") && said.contains("worker.poll"),
        "{said}"
    );
    assert!(!said.contains("${SECRET}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_check_needs_a_worker() {
    let hub = Hub::start().await;
    let port = private_services::free_port().unwrap().to_string();
    let settings = [("PORT", port.as_str())];
    let check = || {
        let mut command = binary(&hub, &settings);
        command.env("PORT", &port).arg("healthcheck");
        command
    };
    assert_eq!(end(check().spawn().unwrap()).await.status.code(), Some(1));
    let child = binary(&hub, &settings).env("PORT", &port).spawn().unwrap();
    let ready = tokio::time::timeout(PATIENCE, async {
        while end(check().spawn().unwrap()).await.status.code() != Some(0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    ready.await.expect("the worker was never ready");
    signal(&child, "TERM");
    assert_eq!(end(child).await.status.code(), Some(0));
}
