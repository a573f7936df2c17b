//! Jobs as callers see them: leases, heartbeats, retries, outside replies.

use std::time::Duration;

use shared_dto::{UserId, analysis::Progress};

use super::{analyses::Photo, clock::UnixMillis, log::Appended};

/// One job, leased to one worker until `lease_until`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    /// The job.
    pub job_id: i64,
    /// The fencing token of this lease: random, new each time.
    pub token: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The last attempt that there will be.
    pub max_attempts: u32,
    /// When the lease ends unless a heartbeat comes.
    pub lease_until: UnixMillis,
    /// When the hub gives the analysis up, whatever its state.
    pub deadline: UnixMillis,
    /// The analysis to make.
    pub analysis_id: i64,
    /// Its owner.
    pub user: UserId,
    /// What grows there, in the uploader's words.
    pub crop_type: Option<String>,
    /// The uploader's notes.
    pub notes: Option<String>,
    /// Where the photo is.
    pub photo: Photo,
    /// Constant for the job over all its attempts.
    pub idempotency_key: String,
    /// What an outside analyser answered; only mapping and posting are left.
    pub reply: Option<String>,
    /// The W3C trace context of the upload.
    pub trace_context: Option<String>,
}

/// A sign of life of one attempt.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// The job.
    pub job_id: i64,
    /// The lease's fencing token.
    pub token: String,
    /// The lease lives this long from now.
    pub lease: Duration,
    /// How far the analysis is.
    pub progress: Option<Progress>,
    /// The attempt waits this long for an outside answer instead, and holds no
    /// worker slot.
    pub park: Option<Duration>,
    /// Whose analysis it has to be for anything to be written.
    pub owner: Option<UserId>,
}

/// What the store knows of the attempt that gave a sign of life.
#[derive(Debug, Clone, PartialEq)]
pub enum Beat {
    /// The attempt is the job's current one.
    Alive(Alive),
    /// It is not, or the job has ended.
    Stale,
    /// It is, and the analysis is another user's than the given owner's.
    NotOwner,
    /// There is no such job.
    Unknown,
}

/// An attempt that is the job's current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alive {
    /// The analysis' owner, whom progress is sent to.
    pub user: UserId,
    /// The analysis.
    pub analysis_id: i64,
    /// When the lease, or the parking, ends without another sign of life.
    pub lease_until: UnixMillis,
}

/// An attempt that did not end its job.
#[derive(Debug, Clone)]
pub struct Retry {
    /// The job.
    pub job_id: i64,
    /// The lease's fencing token.
    pub token: String,
    /// What went wrong, for the operator; 1 KiB is kept.
    pub error: String,
    /// What the user is told should this have been the last attempt.
    pub user_message: String,
    /// Wait at least this long; the back-off of 2^attempt seconds counts where it is longer.
    pub retry_after: Option<Duration>,
    /// The attempt was handed back unused: it is not counted and does not wait.
    pub hand_back: bool,
}

/// What becomes of a job whose attempt was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It can be leased again from then on.
    Scheduled {
        /// From when on.
        available_at: UnixMillis,
    },
    /// That was the last attempt: the analysis is Failed and its owner is told.
    Exhausted(Appended),
    /// The same was done before, its answer lost on the way.
    Repeated {
        /// From when on the job can be leased again; `None` where that was the
        /// last attempt.
        available_at: Option<UnixMillis>,
    },
    /// The token is no longer that of the job's lease, or the job has ended.
    Stale,
    /// There is no such job.
    Unknown,
}

/// What becomes of an outside analyser's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replied {
    /// It is stored; a worker maps it next.
    Accepted,
    /// An answer of this attempt is stored already, or the job has ended.
    AlreadyEnded,
    /// A later attempt is under way; this one's answer is not wanted any more.
    Stale,
    /// There is no such job or attempt.
    Unknown,
}

/// What one round of expiry did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    /// Attempts whose lease or parking ran out and that will be tried again.
    pub requeued: usize,
    /// Analyses that ended as Failed, their owners told.
    pub failed: usize,
    /// The batch was full: call again at once.
    pub more: bool,
}

/// How the queue stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Jobs that a worker could take now.
    pub ready: u64,
    /// Jobs that wait for their next attempt.
    pub waiting: u64,
    /// Jobs that a worker has.
    pub leased: u64,
    /// Jobs that wait for an outside answer.
    pub parked: u64,
    /// How long the oldest ready job has been ready.
    pub oldest_ready: Duration,
    /// How long ago the oldest open job was accepted.
    pub oldest_open: Duration,
}

/// A worker that holds jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The name that it gave itself.
    pub worker: String,
    /// Jobs that it works on.
    pub leased: u32,
    /// Jobs that it left to wait for an outside answer.
    pub parked: u32,
}
