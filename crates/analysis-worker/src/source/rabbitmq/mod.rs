//! Jobs by RabbitMQ: a delivery names a job, which is then claimed at the hub.
//!
//! A delivery is settled when its job is off this worker's hands: at once where
//! the job is no longer to be had, else after the attempt, when the hub has its
//! outcome. It is never put back into the queue to wait: while the hub is away
//! the delivery is held here, and a job that must wait does so in the hub's table.

mod consumer;
mod receipt;
mod results;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use broker::{LinkState, acknowledge, give_back, lapin::message::Delivery, refuse};
use futures_util::future::join_all;
use http::StatusCode;
use shared_dto::queue::{ClaimOutcome, ClaimRequest, JobReady};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

pub(crate) use self::consumer::RabbitMq;
pub(crate) use self::receipt::Receipt;

use super::Taken;
use crate::hub::{Hub, HubError};

/// Claims what the consumer was given.
#[derive(Debug)]
pub(crate) struct RabbitMqSource {
    hub: Arc<Hub>,
    worker_id: String,
    poll: Duration,
    deliveries: mpsc::Receiver<Delivery>,
    /// Deliveries whose job the hub did not decide on yet.
    held: VecDeque<Held>,
    /// The hub answered the last time it was asked.
    answered: bool,
    state: Arc<LinkState>,
}

/// A delivery that names a job.
#[derive(Debug)]
struct Held {
    delivery: Delivery,
    job_id: i64,
    /// The same in each try, so that a claim whose answer was lost is the same claim.
    token: String,
}

impl RabbitMqSource {
    fn new(
        hub: Arc<Hub>,
        worker_id: String,
        poll: Duration,
        deliveries: mpsc::Receiver<Delivery>,
        state: Arc<LinkState>,
    ) -> Self {
        Self {
            hub,
            worker_id,
            poll,
            deliveries,
            held: VecDeque::new(),
            answered: false,
            state,
        }
    }

    pub(super) async fn take(&mut self, free: u32) -> Result<Vec<Taken>, HubError> {
        if !std::mem::take(&mut self.answered) {
            // Nothing is claimed before the hub is known to be there, and a
            // worker with a wrong secret says so before the first job comes.
            self.hub.ping().await?;
        }
        let free = usize::try_from(free).unwrap_or(usize::MAX);
        let until = Instant::now() + self.poll;
        loop {
            while self.held.len() < free
                && let Ok(delivery) = self.deliveries.try_recv()
            {
                self.hold(delivery).await;
            }
            if self.held.is_empty() {
                match timeout_at(until, self.deliveries.recv()).await {
                    Ok(Some(delivery)) => self.hold(delivery).await,
                    // The consumer is a task that is watched; it ends last.
                    Ok(None) => std::future::pending().await,
                    Err(_) => {
                        self.hub.ping().await?;
                        self.answered = true;
                        return Ok(Vec::new());
                    }
                }
                continue;
            }
            let taken = self.claim(free).await?;
            if !taken.is_empty() {
                self.answered = true;
                return Ok(taken);
            }
        }
    }

    pub(super) async fn leave(mut self) {
        self.deliveries.close();
        while let Ok(delivery) = self.deliveries.try_recv() {
            give_back(&delivery).await;
        }
        for held in self.held {
            give_back(&held.delivery).await;
        }
    }

    /// Keeps a delivery to be claimed; what names no job goes to the dead letters.
    async fn hold(&mut self, delivery: Delivery) {
        if !delivery.acker.usable() {
            // Its connection is gone, and it is delivered again.
            return;
        }
        match serde_json::from_slice::<JobReady>(&delivery.data) {
            Ok(JobReady { job_id, .. }) if job_id > 0 => self.held.push_back(Held {
                delivery,
                job_id,
                token: format!("{:032x}", rand::random::<u128>()),
            }),
            _ => {
                let bytes = delivery.data.len();
                tracing::error!(bytes, "a message of the request queue names no job");
                refuse(&delivery).await;
            }
        }
    }

    /// Claims up to `most` of what is held, all at once. What the hub did not
    /// decide on is held on; an error only where nothing was claimed.
    async fn claim(&mut self, most: usize) -> Result<Vec<Taken>, HubError> {
        let count = most.min(self.held.len());
        // They stay held while the hub is asked: this future may be dropped.
        let (hub, worker_id) = (&self.hub, &self.worker_id);
        let asked = self.held.iter().take(count).map(|held| {
            let request = ClaimRequest {
                worker_id: worker_id.clone(),
                token: held.token.clone(),
            };
            async move { hub.claim(held.job_id, &request).await }
        });
        let answers = join_all(asked).await;
        let (mut taken, mut undecided, mut trouble) = (Vec::new(), VecDeque::new(), None);
        let claimed: Vec<Held> = self.held.drain(..count).collect();
        for (held, answer) in claimed.into_iter().zip(answers) {
            let job = held.job_id;
            match answer {
                Ok(answer) => match (answer.outcome, answer.job) {
                    (ClaimOutcome::Claimed, Some(job)) => taken.push(Taken {
                        job,
                        receipt: Receipt::new(held.delivery.acker, Arc::clone(&self.state)),
                    }),
                    (outcome, _) => {
                        tracing::debug!(job, ?outcome, "a delivery of a job that is not to be had");
                        acknowledge(&held.delivery).await;
                    }
                },
                Err(error) if is_final(&error) => {
                    tracing::error!(job, %error, "a message of the request queue is refused");
                    refuse(&held.delivery).await;
                }
                Err(error) => {
                    undecided.push_back(held);
                    trouble.get_or_insert(error);
                }
            }
        }
        // A delivery whose connection broke meanwhile comes again by itself.
        undecided.retain(|held| held.delivery.acker.usable());
        undecided.append(&mut self.held);
        self.held = undecided;
        match trouble {
            Some(error) if taken.is_empty() => Err(error),
            _ => Ok(taken),
        }
    }
}

/// Whether the hub refuses what the message says, and would for ever. A job
/// that is unknown or not to be had is no refusal but an answer.
fn is_final(error: &HubError) -> bool {
    let HubError::Refused { status, .. } = error else {
        return false;
    };
    matches!(
        *status,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
    )
}
