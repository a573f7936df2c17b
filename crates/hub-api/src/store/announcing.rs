//! Jobs that a broker carries to workers: which of them it must be told of,
//! the claim of the one that it delivered, and what it could not deliver.
//!
//! The jobs table decides; a message only says "job N is ready". So a message
//! that is lost is sent again, and one that comes twice finds the job taken.

use std::time::Duration;

use super::{Appended, Lease, Store, StoreError, UnixMillis, operations, read, storable};

/// A ready job that the broker is to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// The job.
    pub job_id: i64,
    /// Its analysis, for logs.
    pub analysis_id: i64,
    /// Since when it is ready: tells one readiness of the job from the next.
    pub ready_at: UnixMillis,
}

/// A worker wants one job, which the broker brought it.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The job.
    pub job_id: i64,
    /// The worker, for timelines.
    pub worker: String,
    /// The fencing token that the worker chose, random for each delivery: a
    /// claim whose answer was lost is repeated with it and gets the same lease.
    pub token: String,
    /// The lease lives this long from now.
    pub lease: Duration,
}

/// What a claim came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Claimed {
    /// The job is this worker's.
    Leased(Box<Lease>),
    /// It was already, by the same claim: its first answer was lost.
    Repeated(Box<Lease>),
    /// Another attempt is under way.
    Held,
    /// It is not ready: it waits for its next attempt, and is announced then.
    NotReady,
    /// The job has ended.
    Ended,
    /// There is no such job.
    Unknown,
}

/// A message that the broker gave up on.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The job that it was about.
    pub job_id: i64,
    /// Which readiness of the job it announced, where it says so.
    pub ready_at: Option<UnixMillis>,
    /// Why the broker gave it up, for the operator.
    pub reason: String,
}

/// What became of the job of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buried {
    /// The analysis is Failed and its owner is told.
    Failed(Appended),
    /// The job is taken, or was announced anew since: the letter means nothing.
    Superseded,
    /// The job had ended.
    Ended,
    /// There is no such job.
    Unknown,
}

impl Store {
    /// Takes up to `max` ready jobs that the broker does not know to be ready,
    /// the longest ready first. Nobody else is given them before `hold` is over.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::TimedOut`] they are given again later.
    pub async fn take_announcements(
        &self,
        max: u32,
        hold: Duration,
    ) -> Result<Vec<Announcement>, StoreError> {
        self.submit(operations::TakeAnnouncements { max, hold })
            .await
    }

    /// Jobs that were taken for announcing are given again after this time,
    /// unless a worker has them by then.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn announce_again(&self, jobs: Vec<i64>, after: Duration) -> Result<(), StoreError> {
        self.submit(operations::AnnounceAgain { jobs, after }).await
    }

    /// When the next job is to be announced; it may lie in the past. `None`
    /// when no job is queued.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    pub async fn next_announcement(&self) -> Result<Option<UnixMillis>, StoreError> {
        self.read(async |conn| read::next_announcement(conn).await)
            .await
    }

    /// Leases one ready job to the worker that the broker brought it to.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written: repeat it with its token.
    pub async fn claim_job(&self, claim: Claim) -> Result<Claimed, StoreError> {
        storable(&[Some(&claim.worker), Some(&claim.token)])?;
        self.submit(claim).await
    }

    /// Ends the analysis of a job that the broker could not deliver as Failed
    /// and tells its owner, unless the letter is out of date.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn bury(&self, letter: DeadLetter) -> Result<Buried, StoreError> {
        storable(&[Some(&letter.reason)])?;
        self.submit(letter).await
    }
}
