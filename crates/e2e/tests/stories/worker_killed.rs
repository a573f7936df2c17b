//! The worker dies in mid-analysis; another takes the job over.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    Clients, ConnectionOptions, System, SystemOptions, Webhook, log_check, photo, process::Signal,
};

use crate::{COMPLETED, OWNER, PATIENCE};

/// Leases expire soon, so that the test does not wait for the usual half minute.
fn options(webhook: &Webhook) -> SystemOptions {
    SystemOptions {
        hub: vec![("Jobs__LeaseSeconds", "2".to_owned())],
        worker: vec![("N8N__WebhookUrl", webhook.url())],
        ..SystemOptions::default()
    }
}

#[tokio::test]
async fn the_analysis_ends_once_with_the_same_key() -> Result<()> {
    let webhook = Webhook::start(Duration::from_secs(600)).await?;
    let mut system = System::start(options(&webhook)).await?;
    let clients = Clients::start()?;
    let connection =
        ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients.open(connection).await?;
    let id = system.api(OWNER).upload(photo::small(1)).await?;
    webhook.await_calls(1, PATIENCE).await?;

    system.kill_worker().await?;
    webhook.set_delay(Duration::from_millis(100));
    system.start_worker().await?;

    phone
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
        .await?;
    let calls = webhook.calls();
    ensure!(
        calls.len() == 1,
        "the attempts had different idempotency keys: {calls:?}"
    );
    ensure!(calls.values().all(|times| *times == 2), "{calls:?}");
    log_check::check_log(&system.api(OWNER).whole_log().await?, &[id])
}

/// A worker that was frozen wakes up with the result of a lease that is no longer its own.
#[tokio::test]
async fn the_late_result_of_a_frozen_worker_is_refused() -> Result<()> {
    let webhook = Webhook::start(Duration::from_secs(1)).await?;
    let mut system = System::start(options(&webhook)).await?;
    let clients = Clients::start()?;
    let connection =
        ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients.open(connection).await?;
    let api = system.api(OWNER);
    let id = api.upload(photo::small(1)).await?;
    webhook.await_calls(1, PATIENCE).await?;
    let mut frozen = system.replace_worker()?;
    frozen.signal(Signal::Stop).await?;
    system.start_worker().await?;
    phone
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
        .await?;

    frozen.signal(Signal::Continue).await?;
    // Another job shows that the frozen one had its time, and that nothing is stuck.
    for seed in 2..=4 {
        let next = api.upload(photo::small(seed)).await?;
        phone
            .wait_for(PATIENCE, |told| told.is_about(COMPLETED, next))
            .await?;
    }
    ensure!(
        frozen.ended()?.is_none(),
        "the refused result ended the worker"
    );
    let ends = phone
        .told()
        .iter()
        .filter(|told| told.is_about(COMPLETED, id))
        .count();
    ensure!(ends == 1, "the analysis was told {ends} times");
    log_check::check_log(&api.whole_log().await?, &[id, id + 1, id + 2, id + 3])
}
