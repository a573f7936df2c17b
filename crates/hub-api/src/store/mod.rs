//! The hub's database: analyses, jobs, the notification log, idempotency keys.
//!
//! It owns every statement that is sent to a database. Each method of
//! [`Store`] is one use case and one transaction; callers never see a
//! connection. It never does I/O but with the database, knows nothing of HTTP
//! or hubs, and reads the time from its [`Clock`] only.
//!
//! Invariants, each kept in one place:
//! - A sequence comes from the stream's counter row, updated in the
//!   transaction that writes the entry, so a log has no holes.
//! - An analysis ends once, in the transaction that appends its notification.
//! - Entries reach the delivery hook after their commit and in its order.
//! - A lease is held by whoever has its token; every change by an attempt
//!   compares it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use shared_dto::{UserId, analysis::Progress};
use tokio::{sync::watch, task::JoinHandle};

pub mod clock;
pub mod options;
pub mod error;
pub mod log;
pub mod analyses;
pub mod jobs;
pub mod timeline;
mod admission;
mod backoff;
mod failure;
mod decode;
mod sqlite;

pub use analyses::{
    AnalysesPage, AnalysisRow, Created, Idempotency, NewAnalysis, OverlaySet, Photo, Pictures,
    image_path,
};
pub use clock::{Clock, UnixMillis};
pub use error::StoreError;
pub use failure::FAILED_EVENT;
pub use jobs::{Alive, Beat, Expired, Heartbeat, Lease, QueueStats, Replied, Retried, Retry};
pub use log::{
    Append, Appended, Confirmation, Handed, LoggedEntry, NewNotification, OnCommitted, Outcome,
    Page, ReceiptSource, Stream, StreamState, Terminal,
};
pub use options::{Purged, Retention, StoreHealth, StoreOptions};
pub use timeline::{AnalysisHistory, Happening, TimelineEntry};

use decode::{photo_from_row, status_from_row, user_from_row};

/// The database. Clones share it.
#[derive(Debug, Clone)]
pub enum Store {
    /// A SQLite file: WAL, `synchronous=FULL`, one writer.
    Sqlite(sqlite::SqliteStore),
}

/// The store's writer. It ends once the store is closed, or with an error
/// when it cannot go on; whoever opened the store watches it.
#[derive(Debug)]
#[must_use = "a store whose writer has ended takes no writes"]
pub struct WriterTask(JoinHandle<Result<(), StoreError>>);

impl Future for WriterTask {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|ended| match ended {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(%error, "store.writer_ended: the writer panicked or was aborted");
                Err(StoreError::Closed)
            }
        })
    }
}

impl Store {
    /// Opens the database, makes it where it is missing, brings its schema up
    /// to date and starts its writer, which calls `on_committed`.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened or migrated.
    pub async fn open(
        options: StoreOptions,
        on_committed: OnCommitted,
    ) -> Result<(Self, WriterTask), StoreError> {
        let (store, writer) = sqlite::SqliteStore::open(options, on_committed).await?;
        Ok((Self::Sqlite(store), WriterTask(writer)))
    }

    /// Opens an existing database beside the process that writes to it.
    ///
    /// # Errors
    /// [`StoreError`] when there is none or it cannot be read.
    pub async fn open_for_reading(options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self::Sqlite(
            sqlite::SqliteStore::open_for_reading(options).await?,
        ))
    }

    /// Takes no more writes, carries out those that wait, and folds the WAL
    /// into the file. Reads go on. May be called more than once.
    pub async fn close(&self) {
        let Self::Sqlite(store) = self;
        store.close().await;
    }

    /// The clock that the store reads.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        let Self::Sqlite(store) = self;
        store.clock()
    }

    /// The log's epoch: random text made with the database. A sequence of
    /// another epoch means nothing.
    #[must_use]
    pub fn epoch(&self) -> &str {
        let Self::Sqlite(store) = self;
        store.epoch()
    }

    /// Changes whenever a job may have become ready to be leased, or due
    /// earlier than before: whoever waits for either looks again then.
    #[must_use]
    pub fn jobs_changed(&self) -> watch::Receiver<u64> {
        let Self::Sqlite(store) = self;
        store.jobs_changed()
    }

    // Analyses

    /// Accepts an upload: the analysis and its job, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was accepted unless it is [`StoreError::TimedOut`].
    pub async fn create_analysis(&self, new: NewAnalysis) -> Result<Created, StoreError> {
        let Self::Sqlite(store) = self;
        store.create_analysis(new).await
    }

    /// One analysis of `user`; somebody else's is `None`.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    pub async fn analysis_of(
        &self,
        user: &UserId,
        id: i64,
    ) -> Result<Option<AnalysisRow>, StoreError> {
        let Self::Sqlite(store) = self;
        store.analysis_of(user, id).await
    }

    /// The analyses of `user` below the id `before`, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be read.
    pub async fn analyses_of(
        &self,
        user: &UserId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<AnalysesPage, StoreError> {
        let Self::Sqlite(store) = self;
        store.analyses_of(user, before, limit).await
    }

    /// The pictures of an analysis, whoever owns it: for workers and signed links.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be read.
    pub async fn pictures_of(&self, id: i64) -> Result<Option<Pictures>, StoreError> {
        let Self::Sqlite(store) = self;
        store.pictures_of(id).await
    }

    /// Sets the overlay picture of an analysis, for the attempt that holds its lease.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn set_overlay(
        &self,
        analysis_id: i64,
        token: String,
        overlay_key: String,
    ) -> Result<OverlaySet, StoreError> {
        let Self::Sqlite(store) = self;
        store.set_overlay(analysis_id, token, overlay_key).await
    }

    /// What happened to one analysis of `user`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    pub async fn history_of(
        &self,
        user: &UserId,
        analysis_id: i64,
    ) -> Result<Option<AnalysisHistory>, StoreError> {
        let Self::Sqlite(store) = self;
        store.history_of(user, analysis_id).await
    }

    // Jobs

    /// Leases up to `max` ready jobs to `worker`, the longest ready first.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::TimedOut`] leases may have been
    /// given that nobody knows of: they expire.
    pub async fn lease_jobs(
        &self,
        worker: &str,
        max: u32,
        lease: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        let Self::Sqlite(store) = self;
        store.lease_jobs(worker, max, lease).await
    }

    /// A sign of life of an attempt: lengthens its lease, keeps its progress, parks it.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<Beat, StoreError> {
        let Self::Sqlite(store) = self;
        store.heartbeat(heartbeat).await
    }

    /// Progress told by an outside analyser, which knows the attempt's number
    /// by its signed address and not the token. It lengthens no lease.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn outside_progress(
        &self,
        job_id: i64,
        attempt: u32,
        progress: Progress,
    ) -> Result<Beat, StoreError> {
        let Self::Sqlite(store) = self;
        store.outside_progress(job_id, attempt, progress).await
    }

    /// Stores an outside analyser's answer as it came and makes the job ready
    /// for a worker to map it; that lease is no new attempt.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn outside_reply(
        &self,
        job_id: i64,
        attempt: u32,
        body: String,
    ) -> Result<Replied, StoreError> {
        let Self::Sqlite(store) = self;
        store.outside_reply(job_id, attempt, body).await
    }

    /// Gives an attempt back that did not end its job.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn retry(&self, retry: Retry) -> Result<Retried, StoreError> {
        let Self::Sqlite(store) = self;
        store.retry(retry).await
    }

    /// Ends what is due: leases and parkings that ran out are queued again
    /// with back-off or, exhausted, Failed; analyses past their deadline are Failed.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn expire(&self, batch: u32) -> Result<Expired, StoreError> {
        let Self::Sqlite(store) = self;
        store.expire(batch).await
    }

    /// When the next lease or parking runs out, a waiting job becomes ready or
    /// a deadline passes; it may lie in the past. `None` when no job is open.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    pub async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        let Self::Sqlite(store) = self;
        store.next_due().await
    }

    /// How the queue stands.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    pub async fn queue_stats(&self) -> Result<QueueStats, StoreError> {
        let Self::Sqlite(store) = self;
        store.queue_stats().await
    }

    // The notification log

    /// Appends a notification to its log and, where it is the outcome of an
    /// attempt, ends job and analysis, all in one transaction.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was appended unless it is [`StoreError::TimedOut`].
    pub async fn append(&self, new: NewNotification) -> Result<Append, StoreError> {
        let Self::Sqlite(store) = self;
        store.append(new).await
    }

    /// The entries of `stream` above `after`, in order, with where the stream stands.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be read.
    pub async fn entries(
        &self,
        stream: &Stream,
        after: i64,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let Self::Sqlite(store) = self;
        store.entries(stream, after, limit).await
    }

    /// Where `stream` stands, confirmations included that are not yet written.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    pub async fn stream_state(&self, stream: &Stream) -> Result<StreamState, StoreError> {
        let Self::Sqlite(store) = self;
        store.stream_state(stream).await
    }

    /// Notes that devices have notifications. It only notes: the writer writes
    /// it with the next transaction or a little later, and a crash may lose
    /// it, which costs a repeat.
    pub fn confirm(&self, confirmations: Vec<Confirmation>) {
        let Self::Sqlite(store) = self;
        store.confirm(confirmations);
    }

    /// Notes that logged entries were handed to connections. As lazy as
    /// [`confirm`](Self::confirm).
    pub fn record_handed(&self, handed: Vec<Handed>) {
        let Self::Sqlite(store) = self;
        store.record_handed(handed);
    }

    /// A client saw everything up to `sequence`, or up to the head where that
    /// is lower. The mark only grows, and it confirms as well.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn acknowledge(
        &self,
        stream: &Stream,
        sequence: i64,
    ) -> Result<StreamState, StoreError> {
        let Self::Sqlite(store) = self;
        store.acknowledge(stream, sequence).await
    }

    // Upkeep

    /// How the store is: a read, and whether its writer lives.
    ///
    /// # Errors
    /// [`StoreError`] when nothing could be read.
    pub async fn health(&self) -> Result<StoreHealth, StoreError> {
        let Self::Sqlite(store) = self;
        store.health().await
    }

    /// Deletes what is older than `retention` says, in one bounded batch.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn purge(&self, retention: Retention) -> Result<Purged, StoreError> {
        let Self::Sqlite(store) = self;
        store.purge(retention).await
    }
}
