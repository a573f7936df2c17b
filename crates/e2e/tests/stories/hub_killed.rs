//! The hub dies while a worker has a result for it, and comes back.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Clients, ConnectionOptions, System, SystemOptions, Webhook, log_check, photo};
use shared_dto::analysis::AnalysisStatus;

use crate::{COMPLETED, OWNER, PATIENCE};

#[tokio::test]
async fn the_result_arrives_when_it_is_back() -> Result<()> {
    let webhook = Webhook::start(Duration::from_secs(2)).await?;
    let worker = vec![("N8N__WebhookUrl", webhook.url())];
    let mut system = System::start(SystemOptions {
        worker,
        ..SystemOptions::default()
    })
    .await?;
    let clients = Clients::start()?;
    let options = ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients.open(options.reconnecting()).await?;
    let id = system.api(OWNER).upload(photo::small(1)).await?;
    webhook.await_calls(1, PATIENCE).await?;

    system.kill_hub().await?;
    webhook.await_answers(1, PATIENCE).await?;
    system.start_hub().await?;

    phone
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
        .await?;
    ensure!(
        webhook.calls().values().sum::<usize>() == 1,
        "the analysis was made anew"
    );
    log_check::check_log(&system.api(OWNER).whole_log().await?, &[id])
}

/// Nothing that was accepted is forgotten: analyses, results, the log, its epoch.
#[tokio::test]
async fn everything_accepted_is_there_after_kill_9() -> Result<()> {
    let mut system = System::start_default().await?;
    let api = system.api(OWNER);
    let done = api.upload(photo::small(1)).await?;
    api.await_end(done, PATIENCE).await?;
    let epoch = api.notifications(0, 10).await?.epoch;
    system.kill_worker().await?;
    let waiting = api.upload(photo::small(2)).await?;

    system.kill_hub().await?;
    system.start_hub().await?;
    ensure!(api.analysis(done).await?.status == AnalysisStatus::Completed);
    ensure!(api.analysis(waiting).await?.status == AnalysisStatus::Processing);
    ensure!(
        api.notifications(0, 10).await?.epoch == epoch,
        "the epoch changed"
    );

    system.start_worker().await?;
    api.await_end(waiting, PATIENCE).await?;
    log_check::check_log(&api.whole_log().await?, &[done, waiting])
}
