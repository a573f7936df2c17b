//! SIGTERM: both processes end by themselves, and nothing is lost by it.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Clients, ConnectionOptions, System, SystemOptions, Webhook, log_check, photo};

use crate::{COMPLETED, OWNER, PATIENCE};

#[tokio::test]
async fn a_worker_finishes_what_it_can_and_hands_back_the_rest() -> Result<()> {
    let webhook = Webhook::start(Duration::from_secs(600)).await?;
    let worker = vec![
        ("N8N__WebhookUrl", webhook.url()),
        ("Worker__Grace", "1".to_owned()),
    ];
    let mut system = System::start(SystemOptions {
        worker,
        ..SystemOptions::default()
    })
    .await?;
    let api = system.api(OWNER);
    let id = api.upload(photo::small(1)).await?;
    webhook.await_calls(1, PATIENCE).await?;

    system.stop_worker().await?;
    webhook.set_delay(Duration::ZERO);
    system.start_worker().await?;
    // Handed back, the job waits for no lease to expire (half a minute).
    api.await_end(id, Duration::from_secs(20)).await?;
    log_check::check_log(&api.whole_log().await?, &[id])
}

#[tokio::test]
async fn a_hub_tells_its_clients_to_reconnect() -> Result<()> {
    let mut system = System::start_default().await?;
    let clients = Clients::start()?;
    let options = ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients.open(options.reconnecting()).await?;

    system.stop_hub().await?;
    phone
        .wait_for(PATIENCE, |told| told.kind == "reconnecting")
        .await?;
    system.start_hub().await?;
    phone
        .wait_for(PATIENCE, |told| told.kind == "reconnected")
        .await?;
    let id = system.api(OWNER).upload(photo::small(1)).await?;
    phone
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
        .await?;
    ensure!(!phone.told().iter().any(|told| told.kind == "closed"));
    Ok(())
}
