//! 1,000 uploads from 50 users at once while the worker is killed three times.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{Client, Clients, ConnectionOptions, System, SystemOptions, log_check, photo};
use tokio::{sync::Semaphore, task::JoinSet};

const USERS: i64 = 50;
const UPLOADS_EACH: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_analysis_ends_and_every_owner_is_told() -> Result<()> {
    // The three kills can all hit one job; a further attempt lets it end well.
    let hub = vec![
        ("Jobs__LeaseSeconds", "2".to_owned()),
        ("Jobs__MaxAttempts", "5".to_owned()),
    ];
    let mut system = System::start(SystemOptions {
        hub,
        ..SystemOptions::default()
    })
    .await?;
    let clients = Clients::start()?;
    let devices = connect_all(&system, &clients).await?;

    let uploads = tokio::spawn(upload_all(&system));
    let total = usize::try_from(USERS)? * usize::try_from(UPLOADS_EACH)?;
    for share in [total / 10, total / 3, total * 2 / 3] {
        await_told(&devices, share).await?;
        system.kill_worker().await?;
        system.start_worker().await?;
    }
    let ledger = uploads.await??;
    ensure!(
        ledger.values().map(Vec::len).sum::<usize>() == total,
        "an upload was refused"
    );
    await_told(&devices, total).await?;

    for (user, analyses) in ledger {
        let log = system.api(user).whole_log().await?;
        log_check::check_log(&log, &analyses).with_context(|| format!("user {user}"))?;
        let device = &devices[&user];
        for told in device.told() {
            ensure!(
                told.payload()["userId"] == user,
                "user {user} heard {told:?}"
            );
        }
        let head = i64::try_from(log.len())?;
        log_check::check_received(&device.sequences(), head)
            .with_context(|| format!("user {user}"))?;
    }
    Ok(())
}

async fn connect_all(system: &System, clients: &Clients) -> Result<BTreeMap<i64, Client>> {
    let mut devices = BTreeMap::new();
    for user in 1..=USERS {
        let token = system.issuer.token(user);
        let options = ConnectionOptions::new(&format!("user {user}"), &system.hub_url(), &token);
        devices.insert(user, clients.open(options).await?);
    }
    Ok(devices)
}

/// All users at once; what was accepted is noted here, outside the processes that die.
fn upload_all(system: &System) -> impl Future<Output = Result<BTreeMap<i64, Vec<i64>>>> + use<> {
    let apis: Vec<_> = (1..=USERS).map(|user| (user, system.api(user))).collect();
    async move {
        let at_once = Arc::new(Semaphore::new(64));
        let mut uploads = JoinSet::new();
        for seed in 0..UPLOADS_EACH {
            for (user, api) in &apis {
                let (user, api, at_once) = (*user, api.clone(), Arc::clone(&at_once));
                uploads.spawn(async move {
                    let _permit = at_once.acquire().await?;
                    let photo = photo::small(seed * 1_000 + user.unsigned_abs());
                    anyhow::Ok((user, api.upload(photo).await?))
                });
            }
        }
        let mut ledger: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        while let Some(accepted) = uploads.join_next().await {
            let (user, analysis) = accepted??;
            ledger.entry(user).or_default().push(analysis);
        }
        Ok(ledger)
    }
}

/// Waits until the devices together were told of this many ends.
async fn await_told(devices: &BTreeMap<i64, Client>, ends: usize) -> Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let told: usize = devices
            .values()
            .map(|device| crate::without_repeats(&device.sequences()).len())
            .sum();
        if told >= ends {
            return Ok(());
        }
        ensure!(
            tokio::time::Instant::now() < deadline,
            "{told} of {ends} ends were told"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
