//! Clients that connect, stay a while and leave, over and over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};

use super::{RunError, Stage};
use crate::{
    client::Client,
    report::Report,
    run::{Run, add},
    schedule,
};

/// Between two readings of the server's memory.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn churn(mut stage: Stage, rate: f64, stay: Duration) -> Result<Report, RunError> {
    let before = stage.memory_before().await?;
    let start = stage.meter.moment()?;
    let began = Instant::now();
    let until = began + stage.common.duration;
    let turns = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..stage.common.connections {
        let (run, turns) = (Arc::clone(&stage.run), Arc::clone(&turns));
        clients.spawn(come_and_go(
            run,
            turns,
            Times {
                began,
                until,
                rate,
                stay,
            },
        ));
    }
    let mut highest = before.unwrap_or_default();
    while Instant::now() < until {
        sleep(SAMPLE_EVERY.min(until - Instant::now())).await;
        highest = highest.max(stage.meter.memory()?.unwrap_or_default());
    }
    let span = stage.meter.since(&start)?;
    while clients.join_next().await.is_some() {}
    stage.report.take_span(&span);
    stage.report.messages_per_second = None;
    stage.report.take_opening(&span);
    stage.report.from_due_time = rate > 0.0;
    if before.is_some() {
        stage
            .report
            .further
            .insert("highest memory of the server, KiB", highest as f64 / 1024.0);
        sleep(stage.common.settle).await;
        let after = stage.meter.memory()?;
        stage.report.take_memory(before, after, 0);
    }
    stage.report.take_counts(&stage.run);
    Ok(stage.report)
}

#[derive(Debug, Clone, Copy)]
struct Times {
    began: Instant,
    until: Instant,
    rate: f64,
    stay: Duration,
}

/// Takes one turn after the other.
async fn come_and_go(run: Arc<Run>, turns: Arc<AtomicU64>, times: Times) {
    loop {
        let turn = turns.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut due = match schedule::due(turn, times.rate) {
            Some(after) => times.began + after,
            None => now,
        };
        if due >= times.until {
            return;
        }
        if due > now {
            tokio::time::sleep_until(due.into()).await;
            due = Instant::now();
        }
        let user = run.server.user_of(turn);
        match Client::open(&run.server, user, run.patience).await {
            Ok(client) => {
                let opened = due.elapsed().as_nanos() as u64;
                run.opening.record(turn as usize, opened);
                add(&run.counts.opened, 1);
                add(&run.counts.open, 1);
                sleep(times.stay).await;
                client.leave(&run.server).await;
                run.counts.open.fetch_sub(1, Ordering::Relaxed);
            }
            Err(error) => {
                run.failed(&error);
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
