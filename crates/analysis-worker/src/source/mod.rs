//! Where jobs come from.
//!
//! Every job ends up as a lease at the hub, whatever brings it: a broker's
//! delivery only says which job to claim there. So a source yields leased jobs,
//! and all that follows (heartbeats, outcome, fencing) knows nothing of it.

mod lease;
mod rabbitmq;

use shared_dto::jobs::LeasedJob;

pub(crate) use self::lease::LeaseSource;
pub(crate) use self::rabbitmq::{RabbitMq, RabbitMqSource, Receipt};

use crate::hub::HubError;

/// The ways in which jobs come.
#[derive(Debug)]
pub(crate) enum JobSource {
    /// Taken from the hub over the internal link.
    Lease(LeaseSource),
    /// Brought by RabbitMQ and claimed at the hub.
    RabbitMq(RabbitMqSource),
}

/// A job that is this worker's, and what to settle once it is done with.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) job: LeasedJob,
    pub(crate) receipt: Receipt,
}

impl JobSource {
    /// Waits for jobs, at most `free` of them; none may have come.
    pub(crate) async fn take(&mut self, free: u32) -> Result<Vec<Taken>, HubError> {
        match self {
            Self::Lease(source) => {
                let jobs = source.take(free).await?;
                let without = |job| Taken {
                    job,
                    receipt: Receipt::none(),
                };
                Ok(jobs.into_iter().map(without).collect())
            }
            Self::RabbitMq(source) => source.take(free).await,
        }
    }

    /// Gives back what it holds; no more is taken.
    pub(crate) async fn leave(self) {
        match self {
            Self::Lease(_) => {}
            Self::RabbitMq(source) => source.leave().await,
        }
    }
}
