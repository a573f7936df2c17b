//! The hub's database: analyses, jobs, the notification log, idempotency keys.
//!
//! It owns every statement that is sent to a database. Each method of
//! [`Store`] is one use case and one transaction; callers never see a
//! connection. It never does I/O but with the database, knows nothing of HTTP
//! or hubs, and reads the time from its [`Clock`] only.
//!
//! It runs on SQLite and on PostgreSQL. What is decided is decided once, for
//! both; `database` holds what differs between them.
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
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use shared_dto::{UserId, analysis::Progress};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub mod clock;
pub mod options;
pub mod error;
pub mod log;
pub mod analyses;
pub mod jobs;
pub mod timeline;
pub mod announcing;
pub mod deliveries;
mod admission;
mod backoff;
mod failure;
mod decode;
mod database;
mod writer;
mod operations;
mod read;

pub use analyses::{
    AnalysesPage, AnalysisRow, Created, Idempotency, NewAnalysis, OverlaySet, Photo, Pictures,
    image_path,
};
pub use announcing::{Announcement, Buried, Claim, Claimed, DeadLetter};
pub use clock::{Clock, UnixMillis};
pub use deliveries::{DeliveriesPage, Delivery, DeliveryFilter, DeliveryOutcome};
pub use error::StoreError;
pub use failure::FAILED_EVENT;
pub use jobs::{Alive, Beat, Expired, Heartbeat, Lease, QueueStats, Replied, Retried, Retry};
pub use log::{
    Append, Appended, Confirmation, Handed, LoggedEntry, NewNotification, OnCommitted, Outcome,
    Page, ReceiptSource, Stream, StreamHead, StreamState, Terminal,
};
pub use options::{Location, PostgresAddress, Purged, Retention, StoreHealth, StoreOptions};
pub use timeline::{AnalysisHistory, Happening, TimelineEntry};

use database::{Conn, Readers};
use decode::{photo_from_row, status_from_row, user_from_row};
use writer::{Operation, Queues, Receipts, Writer};

/// The database. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
    /// Absent where the store was opened for reading.
    queues: Option<Arc<Queues>>,
    readers: Readers,
}

/// What callers and the writer share.
#[derive(Debug)]
struct Shared {
    options: StoreOptions,
    clock: Clock,
    epoch: Arc<str>,
    receipts: Receipts,
    jobs_changed: watch::Sender<u64>,
    /// Told when this hub itself changed the jobs.
    own_jobs_changed: Notify,
    /// The writer takes nothing more once this is cancelled.
    closing: CancellationToken,
    /// Cancelled when the writer has ended.
    ended: CancellationToken,
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
    /// [`StoreError`] when the database cannot be opened or migrated.
    pub async fn open(
        options: StoreOptions,
        on_committed: OnCommitted,
    ) -> Result<(Self, WriterTask), StoreError> {
        let database::Opened {
            readers,
            writer,
            clock,
        } = database::open(&options).await?;
        let conn = writer.ok_or(StoreError::ReadOnly)?;
        let (queues, waiting) = writer::queues(options.queue_capacity, options.patience);
        let shared = shared(options, clock, &readers).await?;
        let writer = Writer {
            conn,
            shared: Arc::clone(&shared),
            waiting,
            on_committed,
            receipts_due: None,
            question_due: None,
        };
        let task = work(Arc::clone(&shared), writer, readers.clone());
        let task = tokio::spawn(task.instrument(tracing::info_span!("store_writer")));
        let store = Self {
            shared,
            queues: Some(Arc::new(queues)),
            readers,
        };
        Ok((store, WriterTask(task)))
    }

    /// Opens an existing database beside the process that writes to it.
    ///
    /// # Errors
    /// [`StoreError`] when there is none or it cannot be read.
    pub async fn open_for_reading(options: StoreOptions) -> Result<Self, StoreError> {
        let database::Opened { readers, clock, .. } = database::open_for_reading(&options).await?;
        let shared = shared(options, clock, &readers).await?;
        shared.ended.cancel();
        Ok(Self {
            shared,
            queues: None,
            readers,
        })
    }

    /// Takes no more writes, carries out those that wait, and leaves the
    /// database in order. Reads go on. May be called more than once.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.ended.cancelled().await;
    }

    /// Whether other hubs may write to the same database.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.readers, Readers::Postgres(_))
    }

    /// The clock that the store reads.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The log's epoch: random text made with the database. A sequence of
    /// another epoch means nothing.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.shared.epoch
    }

    /// Changes whenever a job may have become ready to be leased, or due
    /// earlier than before: whoever waits for either looks again then.
    #[must_use]
    pub fn jobs_changed(&self) -> watch::Receiver<u64> {
        self.shared.jobs_changed.subscribe()
    }

    // Analyses

    /// Accepts an upload: the analysis and its job, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was accepted unless it is [`StoreError::TimedOut`].
    pub async fn create_analysis(&self, new: NewAnalysis) -> Result<Created, StoreError> {
        let options = &self.shared.options;
        storable(&[new.crop_type.as_deref(), new.notes.as_deref()])?;
        self.submit(operations::CreateAnalysis {
            new,
            max_attempts: options.max_attempts,
            deadline: options.job_deadline,
        })
        .await
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
        self.read(async |conn| read::analysis_of(conn, user, id).await)
            .await
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
        self.read(async |conn| read::analyses_of(conn, user, before, limit).await)
            .await
    }

    /// The pictures of an analysis, whoever owns it: for workers and signed links.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be read.
    pub async fn pictures_of(&self, id: i64) -> Result<Option<Pictures>, StoreError> {
        self.read(async |conn| read::pictures_of(conn, id).await)
            .await
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
        storable(&[Some(&token)])?;
        self.submit(operations::SetOverlay {
            analysis_id,
            token,
            overlay_key,
        })
        .await
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
        self.read(async |conn| read::history_of(conn, user, analysis_id).await)
            .await
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
        self.submit(operations::LeaseJobs {
            worker: worker.to_owned(),
            max,
            lease,
        })
        .await
    }

    /// A sign of life of an attempt: lengthens its lease, keeps its progress, parks it.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<Beat, StoreError> {
        let stage = heartbeat
            .progress
            .as_ref()
            .map(|progress| progress.stage.as_str());
        storable(&[Some(&heartbeat.token), stage])?;
        self.submit(heartbeat).await
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
        storable(&[Some(&progress.stage)])?;
        self.submit(operations::OutsideProgress {
            job_id,
            attempt,
            progress,
        })
        .await
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
        storable(&[Some(&body)])?;
        self.submit(operations::OutsideReply {
            job_id,
            attempt,
            body,
        })
        .await
    }

    /// Gives an attempt back that did not end its job.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn retry(&self, retry: Retry) -> Result<Retried, StoreError> {
        storable(&[
            Some(&retry.token),
            Some(&retry.error),
            Some(&retry.user_message),
        ])?;
        self.submit(retry).await
    }

    /// Ends what is due: leases and parkings that ran out are queued again
    /// with back-off or, exhausted, Failed; analyses past their deadline are Failed.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn expire(&self, batch: u32) -> Result<Expired, StoreError> {
        self.submit(operations::Expire { batch }).await
    }

    /// When the next lease or parking runs out, a waiting job becomes ready or
    /// a deadline passes; it may lie in the past. `None` when no job is open.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    pub async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        let now = self.clock().now();
        self.read(async |conn| read::next_due(conn, now).await)
            .await
    }

    /// How the queue stands.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    pub async fn queue_stats(&self) -> Result<QueueStats, StoreError> {
        let now = self.clock().now();
        self.read(async |conn| read::queue_stats(conn, now).await)
            .await
    }

    // The notification log

    /// Appends a notification to its log and, where it is the outcome of an
    /// attempt, ends job and analysis, all in one transaction.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was appended unless it is [`StoreError::TimedOut`].
    pub async fn append(&self, new: NewNotification) -> Result<Append, StoreError> {
        storable_notification(&new)?;
        self.queues()?.append(new).await
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
        let epoch = Arc::clone(&self.shared.epoch);
        let mut page = self
            .read(async |conn| read::entries(conn, epoch, stream, after, limit).await)
            .await?;
        self.add_noted_confirmation(stream, &mut page.state);
        Ok(page)
    }

    /// Where `stream` stands, confirmations included that are not yet written.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    pub async fn stream_state(&self, stream: &Stream) -> Result<StreamState, StoreError> {
        let epoch = Arc::clone(&self.shared.epoch);
        let mut state = self
            .read(async |conn| read::stream_state(conn, epoch, stream).await)
            .await?;
        self.add_noted_confirmation(stream, &mut state);
        Ok(state)
    }

    /// Those of the streams that have entries beyond the sequence that is known
    /// of them: what a hub looks for that may have missed what another one
    /// published. Streams are counted one by one and no entry is looked for by
    /// its id, since ids do not become visible in their order.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be read.
    pub async fn heads_beyond(
        &self,
        known: &[(Stream, i64)],
    ) -> Result<Vec<StreamHead>, StoreError> {
        self.read(async |conn| read::heads_beyond(conn, known).await)
            .await
    }

    /// What was sent to whom and what became of it, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<DeliveriesPage, StoreError> {
        self.read(async |conn| read::deliveries(conn, filter).await)
            .await
    }

    /// Notes that devices have notifications. It only notes: the writer writes
    /// it with the next transaction or a little later, and a crash may lose
    /// it, which costs a repeat.
    pub fn confirm(&self, confirmations: Vec<Confirmation>) {
        self.shared.receipts.confirm(confirmations);
    }

    /// Notes that logged entries were handed to connections. As lazy as
    /// [`confirm`](Self::confirm).
    pub fn record_handed(&self, handed: Vec<Handed>) {
        let attempts = handed.iter().map(|handed| writer::Attempt {
            stream: handed.stream.clone(),
            sequence: handed.sequence,
            at: handed.at,
        });
        self.shared.receipts.record_attempts(attempts);
        let on_timelines = handed
            .into_iter()
            .filter(|handed| handed.analysis_id.is_some());
        self.shared.receipts.record_handed(on_timelines);
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
        let epoch = Arc::clone(&self.shared.epoch);
        self.submit(operations::Acknowledge {
            epoch,
            stream: stream.clone(),
            sequence,
        })
        .await
    }

    // Upkeep

    /// How the store is: a read, and whether its writer lives.
    ///
    /// # Errors
    /// [`StoreError`] when nothing could be read.
    pub async fn health(&self) -> Result<StoreHealth, StoreError> {
        let start = Instant::now();
        self.read(async |conn| read::epoch(conn).await).await?;
        Ok(StoreHealth {
            read: start.elapsed(),
            writer_alive: self.queues.as_ref().is_some_and(|queues| queues.is_open()),
            queued_writes: self.queues.as_ref().map_or(0, |queues| queues.len()),
        })
    }

    /// Gives the log another epoch, so that no client takes its cursor for one
    /// into this log: after a backup was restored, which lacks what clients
    /// have seen. Hubs that are running go on with the old epoch. Gives the new one.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn renew_epoch(&self) -> Result<Arc<str>, StoreError> {
        self.submit(operations::RenewEpoch).await
    }

    /// Deletes what is older than `retention` says, in one bounded batch.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn purge(&self, retention: Retention) -> Result<Purged, StoreError> {
        let crowded = match retention.entries_per_stream {
            0 => Vec::new(),
            most => {
                self.read(async |conn| read::crowded_streams(conn, most, retention.batch).await)
                    .await?
            }
        };
        self.submit(operations::Purge { retention, crowded }).await
    }

    async fn submit<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        self.queues()?.submit(operation).await
    }

    fn queues(&self) -> Result<&Queues, StoreError> {
        self.queues.as_deref().ok_or(StoreError::ReadOnly)
    }

    /// A read that takes longer than a caller may wait is given up.
    async fn read<T>(
        &self,
        read: impl AsyncFnOnce(Conn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let read = async {
            let mut reader = self.readers.acquire().await?;
            let answer = read(reader.conn()).await?;
            reader.finished();
            Ok(answer)
        };
        timeout(self.shared.options.patience, read)
            .await
            .unwrap_or(Err(StoreError::TimedOut))
    }

    fn add_noted_confirmation(&self, stream: &Stream, state: &mut StreamState) {
        let noted = self.shared.receipts.confirmed(stream).min(state.head);
        state.confirmed = state.confirmed.max(noted);
    }
}

async fn shared(
    options: StoreOptions,
    clock: Clock,
    readers: &Readers,
) -> Result<Arc<Shared>, StoreError> {
    let first = async {
        let mut reader = readers.acquire().await?;
        let epoch = read::epoch(reader.conn()).await?;
        reader.finished();
        Ok(epoch)
    };
    let epoch = timeout(options.patience, first)
        .await
        .unwrap_or(Err(StoreError::TimedOut))?;
    Ok(Arc::new(Shared {
        options,
        clock,
        epoch,
        receipts: Receipts::default(),
        jobs_changed: watch::Sender::new(0),
        own_jobs_changed: Notify::new(),
        closing: CancellationToken::new(),
        ended: CancellationToken::new(),
    }))
}

/// The writer, with whatever serves it, until it has ended.
async fn work(shared: Arc<Shared>, writer: Writer, readers: Readers) -> Result<(), StoreError> {
    // Dropped when the task ends for whatever reason.
    let _ended = shared.ended.clone().drop_guard();
    match readers {
        Readers::Sqlite(_) => writer.run().await,
        Readers::Postgres(pool) => {
            let others = database::watch_jobs(
                pool,
                shared.options.patience,
                shared.clock.clone(),
                &shared.jobs_changed,
                &shared.own_jobs_changed,
            );
            tokio::select! {
                ended = writer.run() => ended,
                never = others => match never {},
            }
        }
    }
}

/// PostgreSQL's texts hold no U+0000, so no store takes one.
fn storable(texts: &[Option<&str>]) -> Result<(), StoreError> {
    let unstorable = texts.iter().flatten().any(|text| text.contains('\0'));
    if unstorable {
        Err(StoreError::UnstorableText)
    } else {
        Ok(())
    }
}

fn storable_notification(new: &NewNotification) -> Result<(), StoreError> {
    let key = new.idempotency.as_ref().map(|key| key.key.as_str());
    let (token, message) = match &new.outcome {
        Some(Outcome {
            token,
            terminal: Terminal::Failed(message),
            ..
        }) => (Some(token.as_str()), Some(message.as_str())),
        Some(Outcome { token, .. }) => (Some(token.as_str()), None),
        None => (None, None),
    };
    storable(&[Some(&new.event), Some(&new.payload), key, token, message])
}
