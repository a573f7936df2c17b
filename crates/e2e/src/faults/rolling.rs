//! A rolling restart: two hubs are replaced one after the other while many
//! clients are connected and notifications keep coming.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use private_services::{Postgres, Redis};
use tokio::time::{Instant, sleep, timeout};

use super::{
    SETTLING,
    device::Devices,
    ground::Access,
    ledger::Ledger,
    load,
    verdict::{self, Findings},
};
use crate::{Balancer, Parts, System, SystemOptions};

const HUBS: usize = 2;
/// Before the first restart, between the two, and after the second.
const QUIET: Duration = Duration::from_secs(10);

/// What a rolling restart is measured under.
#[derive(Debug, Clone)]
pub struct RollingPlan {
    /// Clients, each of a user of its own.
    pub clients: usize,
    /// Notifications a second.
    pub rate: u32,
    /// Notifications in all.
    pub notifications: usize,
    /// Where the ledger is put.
    pub folder: PathBuf,
}

/// What it brought.
#[derive(Debug)]
pub struct RollingReport {
    plan: RollingPlan,
    restarts: Vec<Duration>,
    /// Clients that connected again in each second from the start.
    reconnects: BTreeMap<u64, usize>,
    told_to_reconnect: usize,
    repeated: usize,
    settled: bool,
    findings: Findings,
}

/// Replaces both hubs.
pub async fn run(plan: &RollingPlan) -> Result<RollingReport> {
    std::fs::create_dir_all(&plan.folder)?;
    let (postgres, redis) = tokio::try_join!(Postgres::start(), Redis::start())?;
    let mut system = System::start(options(&postgres, &redis)).await?;
    for hub in 0..HUBS {
        balancer(&system)?.await_ready(hub).await?;
    }
    let access = Arc::new(Access::of(&system, system.hub_port));
    let ledger = Arc::new(Ledger::create(&plan.folder.join("ledger.jsonl"))?);
    let mut devices = Devices::none();
    for user in 1..=i64::try_from(plan.clients)? {
        devices.add_light(user, &access);
        // Clients come over time, too, before anything is measured.
        if user % 20 == 0 {
            sleep(Duration::from_millis(40)).await;
        }
    }
    devices.await_connected().await;
    let started = Instant::now();
    let work = load::notify(
        plan.notifications,
        plan.clients,
        plan.rate,
        &access,
        &ledger,
    );
    let (load, restarts) = tokio::join!(work, restart_all(&mut system, started));
    let settled = timeout(SETTLING, verdict::settle(&access, &ledger, &devices)).await;
    let findings = verdict::judge(&access, &ledger, &devices).await?;
    let mut reconnects: BTreeMap<u64, usize> = BTreeMap::new();
    let mut told_to_reconnect = 0;
    for (_, received) in devices.received() {
        told_to_reconnect += received.told_to_reconnect;
        for connected in received.connected {
            if let Some(after) = connected.checked_duration_since(started) {
                *reconnects.entry(after.as_secs()).or_default() += 1;
            }
        }
    }
    std::fs::write(plan.folder.join("services.log"), system.logs()?)?;
    Ok(RollingReport {
        plan: plan.clone(),
        restarts: restarts?,
        reconnects,
        told_to_reconnect,
        repeated: load?.repeated,
        settled: settled.is_ok(),
        findings,
    })
}

fn options(postgres: &Postgres, redis: &Redis) -> SystemOptions {
    let text = str::to_owned;
    SystemOptions {
        parts: Some(Parts {
            database: Some(postgres.url("postgres")),
            redis: Some(redis.url()),
            ..Parts::default()
        }),
        hubs: HUBS,
        quiet: true,
        hub: vec![
            ("SignalR__KeepAliveInterval", text("2")),
            // The balancer notices within this time that a hub leaves.
            ("Drain__Delay", text("1")),
            ("Drain__Spread", text("5")),
        ],
        ..SystemOptions::default()
    }
}

fn balancer(system: &System) -> Result<&Balancer> {
    system
        .balancer()
        .context("two hubs stand behind a balancer")
}

/// When each restart began.
async fn restart_all(system: &mut System, started: Instant) -> Result<Vec<Duration>> {
    let mut restarts = Vec::new();
    for hub in 0..HUBS {
        sleep(QUIET).await;
        restarts.push(started.elapsed());
        system.hubs()[hub].stop().await?;
        system.hubs()[hub].start().await?;
        balancer(system)?.await_ready(hub).await?;
    }
    sleep(QUIET).await;
    Ok(restarts)
}

impl RollingReport {
    /// Whether nothing was lost.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.settled && self.findings.are_good()
    }
}

impl fmt::Display for RollingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, findings, .. } = self;
        writeln!(f, "| | |\n|---|---|")?;
        let restarts: Vec<_> = self
            .restarts
            .iter()
            .map(|at| format!("{:.0} s", at.as_secs_f64()))
            .collect();
        let rows = [
            ("clients", plan.clients.to_string()),
            ("notifications a second", plan.rate.to_string()),
            ("notifications accepted", plan.notifications.to_string()),
            ("requests sent again", self.repeated.to_string()),
            ("hubs restarted at", restarts.join(", ")),
            ("told to reconnect", self.told_to_reconnect.to_string()),
            ("received", findings.received.to_string()),
            (
                "repeats, recognised by sequence",
                findings.repeats.to_string(),
            ),
            ("**lost**", findings.lost.len().to_string()),
            ("**twice in the log**", findings.twice.len().to_string()),
            ("**out of order**", findings.disordered.len().to_string()),
            (
                "**another's, or never accepted**",
                findings.strange.len().to_string(),
            ),
        ];
        for (name, value) in rows {
            writeln!(f, "| {name} | {value} |")?;
        }
        writeln!(f, "\nReconnects in each second:\n")?;
        for (second, count) in &self.reconnects {
            let bar = "#".repeat(count.div_ceil(20));
            writeln!(f, "{second:4} s {count:5} {bar}")?;
        }
        for problem in findings.problems().take(20) {
            writeln!(f, "- {problem}")?;
        }
        Ok(())
    }
}
