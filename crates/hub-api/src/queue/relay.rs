//! Publishes "job N is ready", and notes in the store what the broker has.
//!
//! Only a publisher confirm counts. An unroutable message is confirmed as well,
//! with the message returned, and counts as refused. What is refused, or in
//! doubt, stays in the jobs table and is announced again.

use std::{sync::Arc, time::Duration};

use broker::{
    Link, LinkError, LinkState, Session,
    lapin::{
        BasicProperties, Channel, Confirmation,
        options::{BasicPublishOptions, ConfirmSelectOptions},
    },
};
use futures_util::future::join_all;
use shared_dto::queue::JobReady;
use tokio::time::{sleep, timeout};

use super::status::QueueStatus;
use crate::{
    config::RelayConfig,
    store::{Announcement, Store, StoreError},
};

/// Even when nothing is due the store is asked again after this time: another
/// hub, which knew of a job, may have died.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
const SHORTEST_SLEEP: Duration = Duration::from_millis(10);

/// After something went wrong: in the store, or because the broker refuses.
const PAUSE: Duration = Duration::from_secs(1);

/// What the broker did not take is announced again after this time.
const REFUSED: Duration = Duration::from_secs(2);

/// Between two looks whether the broker takes messages again.
const BLOCKED: Duration = Duration::from_millis(250);

const PERSISTENT: u8 = 2;

/// The relay. One session is one connection.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) store: Store,
    pub(super) config: RelayConfig,
    pub(super) queue: String,
    pub(super) status: Arc<QueueStatus>,
}

/// What became of one message.
enum Published {
    Confirmed,
    /// The queue is full.
    Refused,
    /// There is no such queue.
    Unroutable,
    /// Nobody knows.
    Lost(LinkError),
}

/// What ended a round.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    /// The connection goes on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It must be rebuilt.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// What there is to announce.
enum Due {
    Now(Vec<Announcement>),
    /// Nothing, for this long.
    In(Duration),
}

impl Session for Relay {
    async fn run(&mut self, link: &Link, state: &LinkState) -> Result<(), LinkError> {
        let channel = link.channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        // What an earlier connection met with is over.
        self.status.published(0, 0, None);
        state.works();
        tokio::select! {
            error = self.announce(link, &channel) => Err(error),
            silence = link.watch(&self.queue, false, state) => Err(silence),
        }
    }
}

impl Relay {
    async fn announce(&self, link: &Link, channel: &Channel) -> LinkError {
        let mut changed = self.store.jobs_changed();
        loop {
            changed.mark_unchanged();
            self.status.blocked(link.is_blocked());
            if link.is_blocked() {
                sleep(BLOCKED).await;
                continue;
            }
            let pause = match self.round(link, channel).await {
                Ok(pause) => pause,
                Err(RoundError::Store(error)) => {
                    tracing::error!(%error, "ready jobs could not be read or noted");
                    PAUSE
                }
                Err(RoundError::Link(error)) => return error,
            };
            tokio::select! {
                () = sleep(pause) => {}
                // The store is closed: nothing changes any more.
                Ok(()) = changed.changed() => {}
            }
        }
    }

    /// Announces what is due. Returns how long nothing will be.
    async fn round(&self, link: &Link, channel: &Channel) -> Result<Duration, RoundError> {
        let jobs = match self.due().await? {
            Due::Now(jobs) => jobs,
            Due::In(pause) => return Ok(pause),
        };
        let publishing = jobs.iter().map(|job| self.publish(channel, job));
        let published = join_all(publishing).await;
        let (mut confirmed, mut others, mut broken) = (Vec::new(), Vec::new(), None);
        let mut trouble = None;
        for (job, published) in jobs.iter().zip(published) {
            match published {
                Published::Confirmed => {
                    confirmed.push(job.job_id);
                    continue;
                }
                Published::Refused => trouble = Some("the queue is full"),
                Published::Unroutable => {
                    broken = Some(LinkError::Lost("the queue is gone".to_owned()));
                }
                // A blocked connection is kept: a new one would be blocked as
                // well, and this one cannot even say goodbye.
                Published::Lost(error) if link.is_blocked() => {
                    tracing::debug!(%error, job = job.job_id, "a job is not announced");
                    trouble = Some(error.kind());
                }
                Published::Lost(error) => broken = Some(error),
            }
            others.push(job.job_id);
        }
        let pause = if others.is_empty() {
            SHORTEST_SLEEP
        } else {
            PAUSE
        };
        let trouble = trouble.or_else(|| broken.as_ref().map(LinkError::kind));
        self.status
            .published(confirmed.len(), others.len(), trouble);
        let noted = self.note(confirmed, others).await;
        if let Some(error) = broken {
            return Err(error.into());
        }
        noted?;
        Ok(pause)
    }

    async fn due(&self) -> Result<Due, StoreError> {
        let Some(next) = self.store.next_announcement().await? else {
            return Ok(Due::In(LONGEST_SLEEP));
        };
        let now = self.store.clock().now();
        if next > now {
            let pause = next.since(now).clamp(SHORTEST_SLEEP, LONGEST_SLEEP);
            return Ok(Due::In(pause));
        }
        // For longer than a confirm may take, so that nobody else announces them.
        let hold = self.config.confirm_timeout * 2;
        let jobs = self
            .store
            .take_announcements(self.config.in_flight, hold)
            .await?;
        // What is past its deadline is the job clock's to end.
        Ok(if jobs.is_empty() {
            Due::In(PAUSE)
        } else {
            Due::Now(jobs)
        })
    }

    async fn publish(&self, channel: &Channel, job: &Announcement) -> Published {
        let sent = timeout(self.config.confirm_timeout, self.send(channel, job)).await;
        match sent.unwrap_or(Err(LinkError::TimedOut("confirming a message"))) {
            Ok(Confirmation::Ack(None)) => Published::Confirmed,
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => Published::Unroutable,
            Ok(Confirmation::Nack(None)) => Published::Refused,
            Ok(Confirmation::NotRequested) => {
                Published::Lost(LinkError::Lost("the channel confirms nothing".to_owned()))
            }
            Err(error) => Published::Lost(error),
        }
    }

    async fn send(&self, channel: &Channel, job: &Announcement) -> Result<Confirmation, LinkError> {
        let message = JobReady {
            job_id: job.job_id,
            analysis_id: Some(job.analysis_id),
            ready_at: Some(job.ready_at.0),
        };
        let body = serde_json::to_vec(&message).expect("three integers");
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_type("job.ready".into())
            .with_app_id("tendril-hub".into());
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let confirm = channel
            .basic_publish(
                "".into(),
                self.queue.as_str().into(),
                options,
                &body,
                properties,
            )
            .await?;
        Ok(confirm.await?)
    }

    async fn note(&self, confirmed: Vec<i64>, others: Vec<i64>) -> Result<(), StoreError> {
        if !confirmed.is_empty() {
            let after = self.config.republish_after;
            self.store.announce_again(confirmed, after).await?;
        }
        if !others.is_empty() {
            self.store.announce_again(others, REFUSED).await?;
        }
        Ok(())
    }
}
