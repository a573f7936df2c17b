//! Jobs by lease: a long poll at the hub.

use std::{sync::Arc, time::Duration};

use shared_dto::jobs::{LeaseRequest, LeasedJob};

use crate::hub::{Hub, HubError};

/// The most jobs that one request may ask for.
const MOST_JOBS: u32 = 100;

/// Takes leases.
#[derive(Debug)]
pub(crate) struct LeaseSource {
    hub: Arc<Hub>,
    worker_id: String,
    poll: Duration,
    /// The last request was answered, so that the next one may wait.
    answered: bool,
}

impl LeaseSource {
    pub(crate) fn new(hub: Arc<Hub>, worker_id: String, poll: Duration) -> Self {
        Self {
            hub,
            worker_id,
            poll,
            answered: false,
        }
    }

    pub(super) async fn take(&mut self, free: u32) -> Result<Vec<LeasedJob>, HubError> {
        // The first request, and the first after a failure, does not wait: it
        // tells soon whether the hub is there, and is a short probe for the breaker.
        let wait = if self.answered {
            self.poll.as_secs()
        } else {
            0
        };
        self.answered = false;
        let request = LeaseRequest {
            worker_id: self.worker_id.clone(),
            max_jobs: free.clamp(1, MOST_JOBS),
            wait_seconds: u32::try_from(wait).unwrap_or(0),
        };
        let jobs = self.hub.lease(&request).await?;
        self.answered = true;
        Ok(jobs)
    }
}
