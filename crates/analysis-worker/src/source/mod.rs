//! Where jobs come from.
//!
//! Every job ends up as a lease at the hub, whatever brings it: a broker's
//! delivery only says which job to claim there. So a source yields leased jobs,
//! and all that follows (heartbeats, outcome, fencing) knows nothing of it.

mod lease;

use shared_dto::jobs::LeasedJob;

pub(crate) use self::lease::LeaseSource;

use crate::hub::HubError;

/// The ways in which jobs come.
#[derive(Debug)]
pub(crate) enum JobSource {
    /// Taken from the hub over the internal link.
    Lease(LeaseSource),
}

impl JobSource {
    /// Waits for jobs, at most `free` of them; none may have come.
    pub(crate) async fn take(&mut self, free: u32) -> Result<Vec<LeasedJob>, HubError> {
        match self {
            Self::Lease(source) => source.take(free).await,
        }
    }
}
