//! Time for jobs: wakes workers that wait for one, expires leases when they
//! are due, and deletes what is kept no longer. What is due and what becomes of
//! it is decided by the store.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    config::NotificationsConfig,
    metrics::{AttemptOutcome, NotificationFigures},
    store::{Retention, Store, StoreError},
};

/// Jobs that one round of expiry takes.
const BATCH: u32 = 256;
/// The fewest, where the store did not end more of them in time.
const SMALLEST_BATCH: u32 = 8;
/// Even when nothing is due the store is asked again after this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Between two rounds: a moment that has just passed must not make a busy loop.
const SHORTEST_SLEEP: Duration = Duration::from_millis(20);
/// After a round of expiry: should something due not have ended, trying again
/// at once would not help.
const AFTER_EXPIRY: Duration = Duration::from_millis(200);
/// After an error.
const PAUSE: Duration = Duration::from_secs(2);
const PURGE_INTERVAL: Duration = Duration::from_secs(10 * 60);
const PURGE_BATCH: u32 = 500;

/// Wakes waiting workers one at a time: one that finds jobs wakes the next, so
/// that an upload does not send hundreds of them to the store at once.
#[derive(Debug, Default)]
pub(crate) struct ReadyJobs(Notify);

impl ReadyJobs {
    /// There may be a job.
    pub(crate) fn wake_one(&self) {
        self.0.notify_one();
    }

    /// Done when there may be a job. A wake-up that came before the call counts.
    pub(crate) async fn woken(&self) {
        self.0.notified().await;
    }
}

/// Expires leases and deadlines when they are due, and wakes workers whenever
/// a job may have become ready.
pub(crate) async fn keep_time(
    store: Store,
    figures: Arc<NotificationFigures>,
    ready: Arc<ReadyJobs>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut changed = store.jobs_changed();
    let mut batch = BATCH;
    loop {
        changed.mark_unchanged();
        let pause = match round(&store, &figures, batch).await {
            Ok(pause) => {
                batch = (batch * 2).min(BATCH);
                pause
            }
            Err(error) => {
                if matches!(error, StoreError::TimedOut) {
                    batch = (batch / 2).max(SMALLEST_BATCH);
                }
                tracing::error!(%error, "jobs that are due could not be ended");
                PAUSE
            }
        };
        // A waiting job that has become ready tells nobody else.
        ready.wake_one();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(pause) => {}
            changed = changed.changed() => {
                if changed.is_err() {
                    // The store is closed: nothing changes any more.
                    stop.cancelled().await;
                    return Ok(());
                }
                ready.wake_one();
            }
        }
    }
}

/// Ends what is due, and returns how long nothing will be. Each upload passes
/// here, so that nothing is written where nothing is due.
async fn round(
    store: &Store,
    figures: &NotificationFigures,
    batch: u32,
) -> Result<Duration, StoreError> {
    loop {
        let Some(due) = store.next_due().await? else {
            return Ok(LONGEST_SLEEP);
        };
        let now = store.clock().now();
        if due > now {
            return Ok(due.since(now).clamp(SHORTEST_SLEEP, LONGEST_SLEEP));
        }
        let expired = store.expire(batch).await?;
        if expired.requeued > 0 || expired.failed > 0 {
            let (requeued, failed) = (expired.requeued, expired.failed);
            figures.attempts(AttemptOutcome::Expired, requeued);
            figures.attempts(AttemptOutcome::Ended, failed);
            tracing::info!(requeued, failed, "ended attempts that were due");
        }
        if !expired.more {
            return Ok(AFTER_EXPIRY);
        }
    }
}

/// Deletes what is kept no longer.
pub(crate) async fn purge(
    store: Store,
    notifications: NotificationsConfig,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let retention = Retention {
        log: notifications.retention,
        entries_per_stream: notifications.max_per_user,
        batch: PURGE_BATCH,
        ..Retention::default()
    };
    loop {
        let pause = match store.purge(retention).await {
            Ok(purged) if purged.more => SHORTEST_SLEEP,
            Ok(_) => PURGE_INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "old entries could not be deleted");
                PURGE_INTERVAL
            }
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(pause) => {}
        }
    }
}
