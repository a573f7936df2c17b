//! The loop that takes jobs and starts an attempt for each.
//!
//! A slot is a permit taken here before a job is asked for and given back when
//! its attempt has ended, so that there are never more attempts than slots.
//! This module never looks into a job.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use telemetry::trace::{self, TraceParent};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::{
    attempt::{self, Attempts},
    backoff::Backoff,
    health::Vitals,
    shutdown::Shutdown,
    source::{JobSource, Taken},
};

/// An answer without jobs that comes sooner is followed by a pause, so that a
/// hub that does not wait is not asked in a tight loop.
const SOON: Duration = Duration::from_millis(500);

/// Takes jobs until the soft shutdown; attempts go on in `tasks`.
pub(crate) async fn run(
    mut source: JobSource,
    attempts: Arc<Attempts>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    vitals: Arc<Vitals>,
    shutdown: Shutdown,
) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));
    loop {
        vitals.waiting_for_slot();
        let Some(free) = (tokio::select! {
            () = shutdown.soft.cancelled() => None,
            free = free_slots(&slots) => free,
        }) else {
            return source.leave().await;
        };
        vitals.asking();
        let asked = Instant::now();
        let answer = tokio::select! {
            // Jobs that the hub leases at this very moment come to nobody: their
            // leases expire, and another worker gets them.
            () = shutdown.soft.cancelled() => None,
            answer = source.take(u32::try_from(free.num_permits()).unwrap_or(u32::MAX)) => Some(answer),
        };
        let Some(answer) = answer else {
            return source.leave().await;
        };
        let pause = match answer {
            Ok(jobs) => {
                vitals.answered();
                let soon = jobs.is_empty() && asked.elapsed() < SOON;
                start(jobs, free, &attempts, &tasks);
                if soon {
                    Some(backoff.next().min(SOON))
                } else {
                    None
                }
            }
            Err(error) => {
                let wait = error
                    .retry_in(&mut backoff)
                    .unwrap_or_else(|| backoff.next());
                vitals.refused(error.to_string());
                tracing::warn!(%error, ?wait, "no jobs from the hub");
                Some(wait)
            }
        };
        match pause {
            None => backoff.reset(),
            Some(pause) => tokio::select! {
                () = shutdown.soft.cancelled() => return source.leave().await,
                () = tokio::time::sleep(pause) => {}
            },
        }
    }
}

/// All slots that are free now, at least one.
async fn free_slots(slots: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let mut free = Arc::clone(slots).acquire_owned().await.ok()?;
    while let Ok(another) = Arc::clone(slots).try_acquire_owned() {
        free.merge(another);
    }
    Some(free)
}

fn start(
    jobs: Vec<Taken>,
    mut free: OwnedSemaphorePermit,
    attempts: &Arc<Attempts>,
    tasks: &TaskTracker,
) {
    for Taken { job, receipt } in jobs {
        let Some(slot) = free.split(1) else {
            tracing::error!(
                job = job.job_id,
                "the hub leased more jobs than were asked for"
            );
            return;
        };
        let span = tracing::info_span!(
            "attempt",
            job = job.job_id,
            analysis = job.analysis_id,
            user = %job.user_id,
            attempt = job.attempt,
            otel.kind = tracing::field::Empty,
        );
        if trace::is_on() {
            span.record("otel.kind", "consumer");
        }
        let parent = job.trace_parent.as_deref();
        trace::adopt(&span, parent.and_then(TraceParent::parse));
        let attempts = Arc::clone(attempts);
        tasks.spawn(
            async move {
                let done = attempt::run(&attempts, &job).await;
                // The slot is free for what the next delivery brings, and the
                // broker brings none before this one is settled.
                receipt.settle(done).await;
                drop(slot);
            }
            .instrument(span),
        );
    }
}
