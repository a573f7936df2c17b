//! Keeps a job's lease alive while its attempt runs, and carries the progress.
//!
//! A heartbeat goes out at a third of the lease's life. Progress rides on it:
//! the first one goes out at once, later ones at most some times a second, and
//! only the latest counts. When the hub says that the job is another
//! attempt's, [`Lease::lost`] tells; nothing else ends an attempt from here,
//! for a result that comes late is refused by its token and does no harm.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use shared_dto::{
    analysis::Progress,
    jobs::{HeartbeatRequest, LeasedJob},
};
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument as _;

use crate::{
    backoff::Backoff,
    hub::{Hub, HubError},
};

/// Between two heartbeats that carry progress.
const PROGRESS_GAP: Duration = Duration::from_millis(125);

/// How long an outcome waits for a heartbeat that is under way, lest the
/// heartbeat arrives after it.
const BEAT_UNDER_WAY: Duration = Duration::from_secs(1);

/// The running attempt's hold on its job. Dropping it ends the heartbeats.
#[derive(Debug)]
pub(super) struct Lease {
    progress: ProgressSender,
    lost: CancellationToken,
    sending: Arc<Sending>,
    beats: AbortOnDropHandle<()>,
}

/// What the attempt and its heartbeats agree on.
#[derive(Debug, Default)]
struct Sending {
    /// No more progress may be sent.
    progress_ended: AtomicBool,
    /// Held while a heartbeat is under way.
    under_way: Mutex<()>,
}

/// Where an analyser tells how far it is. Clones tell the same job.
#[derive(Debug, Clone)]
pub(crate) struct ProgressSender(watch::Sender<Option<Progress>>);

impl ProgressSender {
    /// Tells a step; never waits.
    pub(crate) fn tell(&self, percent: u8, stage: &str, message: &str) {
        let (stage, message) = (stage.to_owned(), message.to_owned());
        self.0.send_replace(Some(Progress {
            percent,
            stage,
            message,
        }));
    }
}

impl Lease {
    pub(super) fn keep(hub: Arc<Hub>, job: &LeasedJob) -> Self {
        let (progress, told) = watch::channel(None);
        let lost = CancellationToken::new();
        let sending = Arc::new(Sending::default());
        let beats = Beats {
            hub,
            job_id: job.job_id,
            token: job.token.clone(),
            told,
            sending: Arc::clone(&sending),
            lost: lost.clone(),
            life: Duration::from_secs(job.lease_seconds.max(1).into()),
        };
        let task = tokio::spawn(beats.run().in_current_span());
        let beats = AbortOnDropHandle::new(task);
        Self {
            progress: ProgressSender(progress),
            lost,
            sending,
            beats,
        }
    }

    pub(super) fn progress(&self) -> ProgressSender {
        self.progress.clone()
    }

    /// The latest step that was told, whether or not the hub heard of it.
    pub(super) fn latest_progress(&self) -> Option<Progress> {
        self.progress.0.borrow().clone()
    }

    /// Cancelled when the job is no longer this attempt's.
    pub(super) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Heartbeats go on, but without progress: the outcome is next.
    pub(super) async fn end_progress(&self) {
        self.sending.progress_ended.store(true, Ordering::SeqCst);
        let idle = self.sending.under_way.lock();
        if tokio::time::timeout(BEAT_UNDER_WAY, idle).await.is_err() {
            tracing::debug!("a heartbeat is still under way");
        }
    }

    /// Ends the heartbeats: they would wake a job that is about to be parked.
    pub(super) fn end_beats(&self) {
        self.beats.abort();
    }
}

struct Beats {
    hub: Arc<Hub>,
    job_id: i64,
    token: String,
    told: watch::Receiver<Option<Progress>>,
    sending: Arc<Sending>,
    lost: CancellationToken,
    life: Duration,
}

impl Beats {
    async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(500), self.life / 3);
        let mut due = Instant::now() + self.life / 3;
        let mut next_progress = Instant::now();
        let (mut untold, mut attempt_ended) = (false, false);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = tokio::time::sleep_until(next_progress), if untold => {}
                told = self.told.changed(), if !untold && !attempt_ended => {
                    // Whoever can tell progress is gone, but the outcome is still to post.
                    attempt_ended = told.is_err();
                    untold = told.is_ok();
                    continue;
                }
            }
            let progress = if untold {
                self.told.borrow_and_update().clone()
            } else {
                None
            };
            match self.beat(progress).await {
                Ok(life) => {
                    self.life = life;
                    due = Instant::now() + life / 3;
                    backoff = Backoff::new(Duration::from_millis(500), life / 3);
                }
                Err(error) if error.is_lost() => {
                    tracing::info!("the job belongs to another attempt by now");
                    self.lost.cancel();
                    return;
                }
                Err(error) => {
                    // However long the hub asks us to wait, the lease would not live to see it.
                    let third = self.life / 3;
                    let wait = error.retry_in(&mut backoff).unwrap_or(third).min(third);
                    tracing::warn!(%error, ?wait, "a heartbeat did not reach the hub");
                    due = Instant::now() + wait;
                }
            }
            // A progress that did not arrive is not repeated: the next tells more.
            untold = false;
            next_progress = Instant::now() + PROGRESS_GAP;
        }
    }

    async fn beat(&self, progress: Option<Progress>) -> Result<Duration, HubError> {
        let _under_way = self.sending.under_way.lock().await;
        let progress = progress.filter(|_| !self.sending.progress_ended.load(Ordering::SeqCst));
        let token = self.token.clone();
        let request = HeartbeatRequest {
            token,
            progress,
            park_seconds: None,
        };
        let answer = self.hub.heartbeat(self.job_id, &request).await?;
        Ok(Duration::from_secs(answer.lease_seconds.max(1).into()))
    }
}
