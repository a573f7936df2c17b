//! What callers do with a store: a method is a use case and a transaction.

use std::{sync::Arc, time::Duration};

use shared_dto::{UserId, analysis::Progress};
use tokio::time::Instant;

use super::{
    AnalysesPage, AnalysisHistory, AnalysisRow, Append, Beat, Confirmation, Created,
    DeliveriesPage, DeliveryFilter, Expired, Handed, Heartbeat, Lease, NewAnalysis,
    NewNotification, Outcome, OverlaySet, Page, PictureOf, Pictures, PoolFigures, Purged,
    QueueStats, Replied, Retention, Retried, Retry, Store, StoreError, StoreHealth, Stream,
    StreamHead, StreamState, Terminal, UnixMillis, operations, read, writer,
};

/// For how long a write that was refused is told. A transaction that finds
/// nothing to write goes well on a full disk, too, so that the next one which
/// does is no sign that all is well.
const LATELY: Duration = Duration::from_secs(15);

impl Store {
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

    /// Whether an analysis has the picture under `key`, once everything that was
    /// given to this store before has been written or given up.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be found out.
    pub async fn names_picture(&self, of: &PictureOf, key: &str) -> Result<bool, StoreError> {
        self.submit(operations::NamesPicture {
            of: of.clone(),
            key: key.to_owned(),
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
        let read = |streams| async {
            let epoch = Arc::clone(&self.shared.epoch);
            self.read(async |conn| read::stream_states(conn, epoch, streams).await)
                .await
        };
        let mut state = self.shared.standings.of(stream, read).await?;
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
            refuses_writes: (*self.shared.refused.lock()).is_some_and(|at| at.elapsed() < LATELY),
        })
    }

    /// How its connections and writes stand, from memory.
    #[must_use]
    pub fn pool(&self) -> PoolFigures {
        let (open, idle) = self.readers.standing();
        PoolFigures {
            open,
            idle,
            most: self.shared.options.readers,
            queued_writes: self.queues.as_ref().map_or(0, |queues| queues.len()),
        }
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
            0 => Ok(Vec::new()),
            most => {
                self.read(async |conn| read::crowded_streams(conn, most, retention.batch).await)
                    .await
            }
        };
        // It reads every stream, so that it is the first to fail where there
        // are many; what is old is deleted all the same.
        let crowded = crowded.unwrap_or_else(|error| {
            tracing::warn!(%error, "users with too many notifications could not be looked for");
            Vec::new()
        });
        self.submit(operations::Purge { retention, crowded }).await
    }
}

/// PostgreSQL's texts hold no U+0000, so no store takes one.
pub(in crate::store) fn storable(texts: &[Option<&str>]) -> Result<(), StoreError> {
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
