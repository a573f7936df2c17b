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
};

use parking_lot::Mutex;
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
mod use_cases;
mod admission;
mod backoff;
mod failure;
mod decode;
mod database;
mod writer;
mod operations;
mod read;
mod standings;

pub use analyses::{
    AnalysesPage, AnalysisRow, Created, Idempotency, NewAnalysis, OverlaySet, Photo, PictureOf,
    Pictures, image_path,
};
pub use announcing::{Announcement, Buried, Claim, Claimed, DeadLetter};
pub use clock::{Clock, UnixMillis};
pub use database::{Schema, schema};
pub use deliveries::{DeliveriesPage, Delivery, DeliveryFilter, DeliveryOutcome};
pub use error::StoreError;
pub use failure::FAILED_EVENT;
pub use jobs::{Alive, Beat, Expired, Heartbeat, Lease, QueueStats, Replied, Retried, Retry};
pub use log::{
    Append, Appended, Confirmation, Handed, LoggedEntry, NewNotification, OnCommitted, Outcome,
    Page, ReceiptSource, Stream, StreamHead, StreamState, Terminal,
};
pub use options::{
    Location, PoolFigures, PostgresAddress, Purged, Retention, StoreHealth, StoreOptions,
};
pub use timeline::{AnalysisHistory, Happening, TimelineEntry};

use database::{Conn, Readers};
use decode::{photo_from_row, status_from_row, user_from_row};
use standings::Standings;
use use_cases::storable;
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
    standings: Standings,
    jobs_changed: watch::Sender<u64>,
    /// When the database, which answers, last did not write.
    refused: Mutex<Option<Instant>>,
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
        // Boxed: it has 15 KB, which whatever waits before it would be of, too.
        let read = Box::pin(async {
            let mut reader = self.readers.acquire().await?;
            let answer = read(reader.conn()).await?;
            reader.finished();
            Ok(answer)
        });
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
        standings: Standings::default(),
        jobs_changed: watch::Sender::new(0),
        refused: Mutex::default(),
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
