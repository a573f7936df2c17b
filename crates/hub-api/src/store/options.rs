//! What a store is opened with, and the bounds that it keeps.

use std::{path::PathBuf, time::Duration};

use super::clock::Clock;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The SQLite file; made where it is missing. Its folder must exist.
    pub path: PathBuf,
    /// What the time is read from.
    pub clock: Clock,
    /// Connections for reading.
    pub readers: u32,
    /// Attempts that a job has.
    pub max_attempts: u32,
    /// How long after its upload an analysis is given up.
    pub job_deadline: Duration,
    /// How long leases live at least after the store is opened: while it was
    /// closed no worker could lengthen its own, and a worker whose breaker is
    /// open does not look at once.
    pub lease_grace: Duration,
    /// Writes of one kind that may wait for the writer.
    pub queue_capacity: usize,
    /// How long a caller waits: for room in the queue, for a reader, for an answer.
    pub patience: Duration,
}

impl StoreOptions {
    /// The defaults, on the file at `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            clock: Clock::system(),
            readers: 4,
            max_attempts: 3,
            job_deadline: Duration::from_secs(60 * 60),
            lease_grace: Duration::from_secs(60),
            queue_capacity: 4096,
            patience: Duration::from_secs(5),
        }
    }
}

/// What [`purge`](super::Store::purge) may delete.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Idempotency keys are kept this long; less than 24 hours counts as 24 hours.
    pub idempotency: Duration,
    /// Log entries are kept this long.
    pub log: Duration,
    /// At most this many rows of each kind in one call.
    pub batch: u32,
}

/// What [`purge`](super::Store::purge) deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Idempotency keys.
    pub idempotency_keys: u64,
    /// Log entries.
    pub log_entries: u64,
    /// A batch was full: call again.
    pub more: bool,
}

/// How the store is.
#[derive(Debug, Clone, Copy)]
pub struct StoreHealth {
    /// How long a read took.
    pub read: Duration,
    /// False once the writer has ended.
    pub writer_alive: bool,
    /// Writes that wait for the writer.
    pub queued_writes: usize,
}
