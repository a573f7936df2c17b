//! The SQLite side of the store.

use std::time::Duration;

use shared_dto::{UserId, analysis::Progress};
use tokio::{sync::watch, task::JoinHandle};

use super::*;

/// The store on a SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    clock: Clock,
    epoch: std::sync::Arc<str>,
    jobs_changed: watch::Sender<u64>,
}

impl SqliteStore {
    pub(super) async fn open(
        options: StoreOptions,
        _hook: OnCommitted,
    ) -> Result<(Self, JoinHandle<()>), StoreError> {
        let store = Self::open_for_reading(options).await?;
        Ok((store, tokio::spawn(async {})))
    }
    pub(super) async fn open_for_reading(options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self {
            clock: options.clock,
            epoch: "".into(),
            jobs_changed: watch::Sender::new(0),
        })
    }
    pub(super) async fn close(&self) {}
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }
    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }
    pub(super) fn jobs_changed(&self) -> watch::Receiver<u64> {
        self.jobs_changed.subscribe()
    }
    pub(super) fn confirm(&self, _c: Vec<Confirmation>) {}
    pub(super) fn record_handed(&self, _h: Vec<Handed>) {}
    pub(super) async fn create_analysis(&self, _new: NewAnalysis) -> Result<Created, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn analysis_of(
        &self,
        _user: &UserId,
        _id: i64,
    ) -> Result<Option<AnalysisRow>, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn analyses_of(
        &self,
        _user: &UserId,
        _before: Option<i64>,
        _limit: u32,
    ) -> Result<AnalysesPage, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn pictures_of(&self, _id: i64) -> Result<Option<Pictures>, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn set_overlay(
        &self,
        _analysis_id: i64,
        _token: String,
        _overlay_key: String,
    ) -> Result<OverlaySet, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn history_of(
        &self,
        _user: &UserId,
        _analysis_id: i64,
    ) -> Result<Option<AnalysisHistory>, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn lease_jobs(
        &self,
        _worker: &str,
        _max: u32,
        _lease: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn heartbeat(&self, _heartbeat: Heartbeat) -> Result<Beat, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn outside_progress(
        &self,
        _job_id: i64,
        _attempt: u32,
        _progress: Progress,
    ) -> Result<Beat, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn outside_reply(
        &self,
        _job_id: i64,
        _attempt: u32,
        _body: String,
    ) -> Result<Replied, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn retry(&self, _retry: Retry) -> Result<Retried, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn expire(&self, _batch: u32) -> Result<Expired, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn queue_stats(&self) -> Result<QueueStats, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn append(&self, _new: NewNotification) -> Result<Append, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn entries(
        &self,
        _stream: &Stream,
        _after: i64,
        _limit: u32,
    ) -> Result<Page, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn stream_state(&self, _stream: &Stream) -> Result<StreamState, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn acknowledge(
        &self,
        _stream: &Stream,
        _sequence: i64,
    ) -> Result<StreamState, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn health(&self) -> Result<StoreHealth, StoreError> {
        Err(StoreError::Closed)
    }
    pub(super) async fn purge(&self, _retention: Retention) -> Result<Purged, StoreError> {
        Err(StoreError::Closed)
    }
}
