//! Consumes the dead letters of the request queue. The job of each ends as
//! Failed and its owner is told, unless it was taken or announced anew.
//!
//! A letter that names no job cannot be used by anybody: it is told in the log
//! by its size and hash, counted, and acknowledged. Its content is not logged,
//! for nobody knows what it is. One that the store will never take is settled
//! in the same way, so that it keeps no other: its job ends by its deadline.

use std::{sync::Arc, time::Duration};

use broker::{
    Link, LinkError, LinkState, Session, acknowledge,
    lapin::{
        message::Delivery,
        types::{AMQPValue, FieldTable},
    },
};
use sha2::{Digest as _, Sha256};
use shared_dto::queue::JobReady;
use tokio::time::sleep;

use super::status::QueueStatus;
use crate::{
    hex::hex,
    store::{Buried, DeadLetter, Store, UnixMillis},
};

/// Deliveries that wait here at most.
const PREFETCH: u16 = 16;

/// After the store could not take one now. It stays where it is meanwhile.
const PAUSE: Duration = Duration::from_secs(2);

/// The consumer. One session is one connection.
#[derive(Debug)]
pub(super) struct DeadLetters {
    pub(super) store: Store,
    pub(super) queue: String,
    pub(super) status: Arc<QueueStatus>,
}

impl Session for DeadLetters {
    async fn run(&mut self, link: &Link, state: &LinkState) -> Result<(), LinkError> {
        let mut letters = link.consume(&self.queue, PREFETCH).await?;
        state.works();
        let bury = async {
            loop {
                let letter = letters.next().await?;
                self.bury(&letter).await;
                if !acknowledge(&letter).await {
                    state.lost_acknowledgement();
                }
            }
        };
        tokio::select! {
            ended = bury => ended,
            silence = link.watch(&self.queue, true, state) => Err(silence),
        }
    }
}

impl DeadLetters {
    async fn bury(&self, letter: &Delivery) {
        let reason = reason(letter);
        let job: JobReady = match serde_json::from_slice(&letter.data) {
            Ok(job) => job,
            Err(_) => {
                let (bytes, sha256) = (letter.data.len(), hex(&Sha256::digest(&letter.data)));
                tracing::error!(bytes, sha256, reason, "a dead letter names no job");
                self.status.unreadable_letter();
                return;
            }
        };
        let dead = DeadLetter {
            job_id: job.job_id,
            ready_at: job.ready_at.map(UnixMillis),
            reason: reason.clone(),
        };
        let Some(buried) = self.until_taken(dead).await else {
            self.status.refused_letter();
            return;
        };
        match buried {
            Buried::Failed(_) => {
                self.status.failed_by_letter();
                tracing::error!(
                    job = job.job_id,
                    reason,
                    "a job ended: the broker could not deliver it"
                );
            }
            Buried::Superseded | Buried::Ended => {
                tracing::info!(
                    job = job.job_id,
                    reason,
                    "a dead letter of a job that went on"
                );
            }
            Buried::Unknown => {
                tracing::warn!(
                    job = job.job_id,
                    reason,
                    "a dead letter of a job that is not here"
                );
            }
        }
    }

    /// Waits for the store; `None` where waiting will not help.
    async fn until_taken(&self, letter: DeadLetter) -> Option<Buried> {
        let job = letter.job_id;
        loop {
            match self.store.bury(letter.clone()).await {
                Ok(buried) => return Some(buried),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, job, "a dead letter waits for the store");
                    sleep(PAUSE).await;
                }
                Err(error) => {
                    tracing::error!(%error, job, "the store will never take a dead letter");
                    return None;
                }
            }
        }
    }
}

/// Why the broker gave the message up, in its own words: `rejected`,
/// `delivery_limit`, `expired`, `maxlen`.
fn reason(letter: &Delivery) -> String {
    let headers = letter.properties.headers().as_ref();
    let first = headers.and_then(|headers| text(headers, "x-first-death-reason"));
    first.unwrap_or_else(|| "of unknown reason".to_owned())
}

fn text(headers: &FieldTable, name: &str) -> Option<String> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}
