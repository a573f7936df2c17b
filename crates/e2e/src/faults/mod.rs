//! The fault suite: work is accepted while processes are killed, frozen,
//! restarted and cut off in a random order, and then everything that was
//! accepted is looked for.
//!
//! The ledger of what was accepted is kept by this process, which nothing
//! kills, and on the disk. The order of faults, their lengths and what the
//! analyser does are drawn from a seed; the moments at which they meet the work
//! are not.

mod ground;
mod fault;
mod chaos;
mod analyser;
mod load;
mod ledger;
mod device;
mod verdict;
mod report;
pub mod rolling;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

pub use report::Report;

use self::{chaos::Chaos, device::Devices, ground::Ground, ledger::Ledger};
use crate::Set;

/// How long the system may take, once everything works again, to end all
/// analyses and to deliver everything.
const SETTLING: Duration = Duration::from_secs(300);

/// What a run does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Draws the faults.
    pub seed: u64,
    /// The parts that the system has.
    pub set: Set,
    /// Analyses that the suite's webhook server makes.
    pub analyses: usize,
    /// Analyses that the built-in analyser makes.
    pub built_in: usize,
    /// Notifications that are no analysis's.
    pub notifications: usize,
    /// How many of both are begun in a second.
    pub rate: u32,
    /// Users that share them.
    pub users: usize,
    /// Where the ledger and the logs are put.
    pub folder: PathBuf,
}

/// What of the load is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The built-in analyser's share.
    BuiltIn,
    /// The webhook server's share.
    Webhook,
    /// Everything was accepted; faults end.
    Done,
}

/// Runs the plan and says what became of everything.
pub async fn run(plan: &Plan) -> Result<Report> {
    std::fs::create_dir_all(&plan.folder)?;
    let started = Instant::now();
    let ground = Ground::start(plan).await?;
    let access = Arc::new(ground.access());
    let ledger = Arc::new(Ledger::create(&plan.folder.join("ledger.jsonl"))?);
    let devices = Devices::start(plan, &access).await?;
    let (phase, phases) = watch::channel(Phase::BuiltIn);
    let chaos = tokio::spawn(Chaos::new(plan, ground, phases).run());
    let loaded = load::run(plan, &access, &ledger, &phase).await;
    phase.send_replace(Phase::Done);
    let (mut ground, history) = chaos.await.context("the faults' task panicked")??;
    let load = loaded?;
    let worked = started.elapsed();
    // Whatever does not become whole in time is found by the verdict.
    let settled = timeout(SETTLING, verdict::settle(&access, &ledger, &devices)).await;
    let findings = verdict::judge(&access, &ledger, &devices).await?;
    ground.keep_logs(&plan.folder)?;
    Ok(Report {
        plan: plan.clone(),
        history,
        load,
        worked,
        settled: settled.is_ok(),
        total: started.elapsed(),
        findings,
    })
}
