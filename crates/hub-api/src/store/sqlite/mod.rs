//! The store on a SQLite file: one connection that writes, a few that read.
//!
//! Writes go through the queues to the [writer](writer); reads take a
//! connection of a small pool and see the last commit (WAL).

use std::{future::Future, sync::Arc, time::Duration};

use shared_dto::{UserId, analysis::Progress};
use sqlx::SqlitePool;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

mod open;
mod queue;
mod writer;
mod work;
mod transaction;
mod statement;
mod append;
mod ending;
mod receipts;
mod operations;
mod read;

use super::{
    AnalysesPage, AnalysisHistory, AnalysisRow, Append, Beat, Clock, Confirmation, Created,
    Expired, Handed, Heartbeat, Lease, NewAnalysis, NewNotification, OnCommitted, OverlaySet, Page,
    Pictures, Purged, QueueStats, Replied, Retention, Retried, Retry, StoreError, StoreHealth,
    StoreOptions, Stream, StreamState, UnixMillis,
};

/// The store on a SQLite file. Clones share it.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    /// Absent where the store was opened for reading.
    queues: Option<Arc<queue::Queues>>,
    readers: SqlitePool,
}

/// What callers and the writer share.
#[derive(Debug)]
struct Shared {
    options: StoreOptions,
    epoch: Arc<str>,
    receipts: receipts::Receipts,
    jobs_changed: watch::Sender<u64>,
    /// The writer takes nothing more once this is cancelled.
    closing: CancellationToken,
    /// Cancelled when the writer has ended.
    ended: CancellationToken,
}

impl SqliteStore {
    pub(super) async fn open(
        options: StoreOptions,
        on_committed: OnCommitted,
    ) -> Result<(Self, JoinHandle<Result<(), StoreError>>), StoreError> {
        open::open(options, on_committed).await
    }

    pub(super) async fn open_for_reading(options: StoreOptions) -> Result<Self, StoreError> {
        open::open_for_reading(options).await
    }

    pub(super) async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.ended.cancelled().await;
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.shared.options.clock
    }

    pub(super) fn epoch(&self) -> &str {
        &self.shared.epoch
    }

    pub(super) fn jobs_changed(&self) -> watch::Receiver<u64> {
        self.shared.jobs_changed.subscribe()
    }

    pub(super) async fn create_analysis(&self, new: NewAnalysis) -> Result<Created, StoreError> {
        let options = &self.shared.options;
        self.submit(operations::CreateAnalysis {
            new,
            max_attempts: options.max_attempts,
            deadline: options.job_deadline,
        })
        .await
    }

    pub(super) async fn analysis_of(
        &self,
        user: &UserId,
        id: i64,
    ) -> Result<Option<AnalysisRow>, StoreError> {
        self.bounded(read::analysis_of(&self.readers, user, id))
            .await
    }

    pub(super) async fn analyses_of(
        &self,
        user: &UserId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<AnalysesPage, StoreError> {
        self.bounded(read::analyses_of(&self.readers, user, before, limit))
            .await
    }

    pub(super) async fn pictures_of(&self, id: i64) -> Result<Option<Pictures>, StoreError> {
        self.bounded(read::pictures_of(&self.readers, id)).await
    }

    pub(super) async fn set_overlay(
        &self,
        analysis_id: i64,
        token: String,
        overlay_key: String,
    ) -> Result<OverlaySet, StoreError> {
        self.submit(operations::SetOverlay {
            analysis_id,
            token,
            overlay_key,
        })
        .await
    }

    pub(super) async fn history_of(
        &self,
        user: &UserId,
        analysis_id: i64,
    ) -> Result<Option<AnalysisHistory>, StoreError> {
        self.bounded(read::history_of(&self.readers, user, analysis_id))
            .await
    }

    pub(super) async fn lease_jobs(
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

    pub(super) async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<Beat, StoreError> {
        self.submit(heartbeat).await
    }

    pub(super) async fn outside_progress(
        &self,
        job_id: i64,
        attempt: u32,
        progress: Progress,
    ) -> Result<Beat, StoreError> {
        self.submit(operations::OutsideProgress {
            job_id,
            attempt,
            progress,
        })
        .await
    }

    pub(super) async fn outside_reply(
        &self,
        job_id: i64,
        attempt: u32,
        body: String,
    ) -> Result<Replied, StoreError> {
        self.submit(operations::OutsideReply {
            job_id,
            attempt,
            body,
        })
        .await
    }

    pub(super) async fn retry(&self, retry: Retry) -> Result<Retried, StoreError> {
        self.submit(retry).await
    }

    pub(super) async fn expire(&self, batch: u32) -> Result<Expired, StoreError> {
        self.submit(operations::Expire { batch }).await
    }

    pub(super) async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        self.bounded(read::next_due(&self.readers, self.clock().now()))
            .await
    }

    pub(super) async fn queue_stats(&self) -> Result<QueueStats, StoreError> {
        self.bounded(read::queue_stats(&self.readers, self.clock().now()))
            .await
    }

    pub(super) async fn append(&self, new: NewNotification) -> Result<Append, StoreError> {
        self.queues()?.append(new).await
    }

    pub(super) async fn entries(
        &self,
        stream: &Stream,
        after: i64,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let epoch = Arc::clone(&self.shared.epoch);
        let mut page = self
            .bounded(read::entries(&self.readers, epoch, stream, after, limit))
            .await?;
        self.add_noted_confirmation(stream, &mut page.state);
        Ok(page)
    }

    pub(super) async fn stream_state(&self, stream: &Stream) -> Result<StreamState, StoreError> {
        let epoch = Arc::clone(&self.shared.epoch);
        let mut state = self
            .bounded(read::stream_state(&self.readers, epoch, stream))
            .await?;
        self.add_noted_confirmation(stream, &mut state);
        Ok(state)
    }

    fn add_noted_confirmation(&self, stream: &Stream, state: &mut StreamState) {
        let noted = self.shared.receipts.confirmed(stream).min(state.head);
        state.confirmed = state.confirmed.max(noted);
    }

    pub(super) fn confirm(&self, confirmations: Vec<Confirmation>) {
        self.shared.receipts.confirm(confirmations);
    }

    pub(super) fn record_handed(&self, handed: Vec<Handed>) {
        self.shared.receipts.record_handed(handed);
    }

    pub(super) async fn acknowledge(
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

    pub(super) async fn health(&self) -> Result<StoreHealth, StoreError> {
        let start = Instant::now();
        self.bounded(read::epoch(&self.readers)).await?;
        Ok(StoreHealth {
            read: start.elapsed(),
            writer_alive: self.queues.as_ref().is_some_and(|queues| queues.is_open()),
            queued_writes: self.queues.as_ref().map_or(0, |queues| queues.len()),
        })
    }

    pub(super) async fn purge(&self, retention: Retention) -> Result<Purged, StoreError> {
        self.submit(operations::Purge { retention }).await
    }

    async fn submit<O: queue::Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        self.queues()?.submit(operation).await
    }

    fn queues(&self) -> Result<&queue::Queues, StoreError> {
        self.queues.as_deref().ok_or(StoreError::ReadOnly)
    }

    /// A read that takes longer than a caller may wait is given up.
    async fn bounded<T>(
        &self,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        timeout(self.shared.options.patience, read)
            .await
            .unwrap_or(Err(StoreError::TimedOut))
    }
}
