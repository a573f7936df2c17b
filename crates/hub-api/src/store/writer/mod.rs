//! The one writer: takes what waits, commits it as one transaction, hands the
//! new entries to the delivery hook, answers.
//!
//! There is no timer: a transaction takes what came while the one before it
//! was written, so batches grow with the load and a lone write waits for
//! nothing. Receipts alone wait a little, since nobody waits for them.
//!
//! In PostgreSQL other hubs write as well. There appends, receipts and each
//! kind of operation are a transaction each, so that none holds a row lock
//! while it waits for one that comes earlier in the order.

mod queue;
mod work;
mod append;
mod batch;
mod ending;
mod receipts;

use std::{error::Error, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until, timeout};

pub(in crate::store) use ending::Ending;
pub(in crate::store) use queue::{Locks, Operation, Queues, queues};
pub(in crate::store) use receipts::{Attempt, Receipts, confirm_now};
pub(in crate::store) use work::{Draft, Work};

use super::{
    Shared,
    database::{MAX_ROWS, WriterConnection},
};
use crate::store::{Handed, LoggedEntry, OnCommitted, StoreError};
use append::{answer_batch, append_batch};
use batch::Batch;
use queue::Waiting;
use receipts::Share;
use work::Outcome;

/// Operations that one transaction takes; each costs a few hops to the
/// database's thread.
const MAX_OPERATIONS: usize = 128;

/// How long receipts wait for a transaction to share.
const RECEIPT_DELAY: Duration = Duration::from_millis(100);

/// Shares of receipts that are written at the end, at most.
const LAST_SHARES: usize = 64;

/// Between two questions what became of a commit.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(500);

/// A transaction that other hubs are in the way of is tried so often at once.
const MAX_TRIES: u32 = 5;

/// The writer's state.
pub(in crate::store) struct Writer {
    pub(in crate::store) conn: WriterConnection,
    pub(in crate::store) shared: Arc<Shared>,
    pub(in crate::store) waiting: Waiting,
    pub(in crate::store) on_committed: OnCommitted,
    pub(in crate::store) receipts_due: Option<Instant>,
    /// When to ask again what became of a commit.
    pub(in crate::store) question_due: Option<Instant>,
}

impl Writer {
    /// Writes until the store is closed and its queues are empty.
    pub(in crate::store) async fn run(mut self) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        while self.gather(&mut batch).await {
            self.carry_out(&mut batch).await?;
        }
        for _ in 0..LAST_SHARES {
            let noted = self.shared.receipts.len();
            if noted == 0 {
                break;
            }
            batch.receipts = self.shared.receipts.share();
            self.carry_out(&mut batch).await?;
            if self.shared.receipts.len() >= noted {
                // The database does not take them, and it costs a repeated
                // delivery at most that they are lost.
                break;
            }
        }
        self.conn.close().await
    }

    /// Waits for something to write. False once the store is closed and all is written.
    async fn gather(&mut self, batch: &mut Batch) -> bool {
        loop {
            let Waiting {
                appends,
                operations,
            } = &mut self.waiting;
            // A closed and empty queue is ready at once and for ever: it must not be polled.
            let (append_end, operation_end) = (
                appends.is_closed() && appends.is_empty(),
                operations.is_closed() && operations.is_empty(),
            );
            if append_end && operation_end {
                return false;
            }
            tokio::select! {
                _ = appends.recv_many(&mut batch.appends, MAX_ROWS), if !append_end => {}
                _ = operations.recv_many(&mut batch.operations, MAX_OPERATIONS), if !operation_end => {}
                () = self.shared.closing.cancelled(), if !appends.is_closed() => {
                    appends.close();
                    operations.close();
                }
                () = self.shared.receipts.arrived.notified(), if self.receipts_due.is_none() => {
                    self.receipts_due = Some(Instant::now() + RECEIPT_DELAY);
                }
                () = sleep_until(self.receipts_due.unwrap_or_else(Instant::now)), if self.receipts_due.is_some() => {
                    batch.receipts = self.shared.receipts.share();
                    self.receipts_due = (!batch.receipts.is_empty()).then(Instant::now);
                }
                () = sleep_until(self.question_due.unwrap_or_else(Instant::now)), if self.question_due.is_some() => {
                    // Should it fail, it is asked again.
                    let _ = self.resolve_doubt().await;
                    continue;
                }
            }
            while batch.appends.len() < MAX_ROWS
                && let Ok(append) = appends.try_recv()
            {
                batch.appends.push(append);
            }
            while batch.operations.len() < MAX_OPERATIONS
                && let Ok(operation) = operations.try_recv()
            {
                batch.operations.push(operation);
            }
            if !batch.appends.is_empty()
                || !batch.operations.is_empty()
                || !batch.receipts.is_empty()
            {
                return true;
            }
        }
    }

    /// Commits the batch and answers all callers. An error only where the
    /// writer cannot go on.
    async fn carry_out(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        if !self.conn.is_shared() {
            return self.carry_out_as_one(batch).await;
        }
        for mut part in std::mem::take(batch).by_kind() {
            self.carry_out_as_one(&mut part).await?;
        }
        Ok(())
    }

    /// Commits the batch as one transaction, or else each of its parts alone.
    async fn carry_out_as_one(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let error = match self.transact(batch).await {
            Ok(outcome) => {
                self.deliver(batch, outcome);
                return Ok(());
            }
            Err(error) => error,
        };
        tracing::warn!(
            %error,
            cause = error.source(),
            appends = batch.appends.len(),
            operations = batch.operations.len(),
            "store.batch_failed: a transaction was rolled back"
        );
        // A full disk or a locked file is no part's fault, and a writer that
        // tried them all would keep every caller waiting.
        let all_the_same = is_all_the_same(&error);
        if all_the_same && error.is_refusal() {
            *self.shared.refused.lock() = Some(Instant::now());
        }
        if all_the_same || batch.parts() == 1 {
            self.give_up(batch, &error);
            return if matches!(error, StoreError::Closed) {
                Err(error)
            } else {
                Ok(())
            };
        }
        self.carry_out_parts(std::mem::take(batch).split()).await
    }

    /// Commits each part alone, for as long as that can help and somebody
    /// still waits for it.
    async fn carry_out_parts(
        &mut self,
        parts: impl Iterator<Item = Batch>,
    ) -> Result<(), StoreError> {
        let until = Instant::now() + self.shared.options.patience;
        let mut hopeless = None;
        for mut part in parts {
            if let Some(error) = &hopeless {
                self.give_up(&mut part, error);
                continue;
            }
            match self.transact(&mut part).await {
                Ok(outcome) => self.deliver(&mut part, outcome),
                Err(error) => {
                    self.give_up(&mut part, &error);
                    if is_all_the_same(&error) || Instant::now() >= until {
                        hopeless = Some(if error.is_transient() {
                            error
                        } else {
                            StoreError::TimedOut
                        });
                    }
                }
            }
        }
        match hopeless {
            Some(StoreError::Closed) => Err(StoreError::Closed),
            _ => Ok(()),
        }
    }

    /// One transaction; one that another hub's was in the way of is tried again.
    async fn transact(&mut self, batch: &mut Batch) -> Result<Outcome, StoreError> {
        let mut tries = 1;
        loop {
            match self.transact_once(batch).await {
                Err(error) if error.is_contention() && tries < MAX_TRIES => {
                    let pause = Duration::from_millis(2 << tries);
                    sleep(pause.mul_f64(rand::random_range(0.0..1.0))).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn transact_once(&mut self, batch: &mut Batch) -> Result<Outcome, StoreError> {
        self.resolve_doubt().await?;
        let patience = self.shared.options.patience;
        let written = if self.conn.is_shared() {
            // A server that hangs must not keep the writer.
            timeout(patience, write(&mut self.conn, batch))
                .await
                .unwrap_or(Err(StoreError::TimedOut))
        } else {
            write(&mut self.conn, batch).await
        };
        match written {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                let error = self.conn.roll_back(error).await;
                if self.conn.is_in_doubt() {
                    self.question_due = Some(Instant::now() + BETWEEN_QUESTIONS);
                }
                Err(error)
            }
        }
    }

    /// Where the answer to a commit was lost, finds out whether it was carried
    /// out and hands its entries on. Until then nothing is written, so that
    /// the hook gets entries in their order.
    async fn resolve_doubt(&mut self) -> Result<(), StoreError> {
        if !self.conn.is_in_doubt() {
            self.question_due = None;
            return Ok(());
        }
        match self.conn.resolve().await {
            Ok(entries) => {
                self.question_due = None;
                let found = entries.len();
                tracing::info!(found, "store.doubt_resolved: known what became of a commit");
                self.hand_out(&entries);
                Ok(())
            }
            Err(error) => {
                self.question_due = Some(Instant::now() + BETWEEN_QUESTIONS);
                Err(error)
            }
        }
    }

    fn hand_out(&mut self, entries: &[LoggedEntry]) -> Vec<usize> {
        match entries {
            [] => Vec::new(),
            entries => (self.on_committed)(entries),
        }
    }

    /// Hands a committed batch's entries out and answers its callers.
    fn deliver(&mut self, batch: &mut Batch, outcome: Outcome) {
        let Outcome {
            entries,
            endings,
            jobs_changed,
        } = outcome;
        let handed = self.hand_out(&entries);
        let connections = |notification_id: i64| {
            // Ids are given in order.
            let found =
                entries.binary_search_by_key(&notification_id, |entry| entry.notification_id);
            found
                .ok()
                .and_then(|index| handed.get(index))
                .copied()
                .unwrap_or(0)
        };
        let now = self.shared.clock.now();
        let endings = entries
            .iter()
            .filter(|entry| endings.contains(&entry.notification_id))
            .filter_map(|entry| {
                Some(Handed {
                    stream: entry.stream.clone(),
                    analysis_id: Some(entry.analysis_id?),
                    sequence: entry.sequence,
                    connections: connections(entry.notification_id),
                    at: now,
                })
            });
        self.shared.receipts.record_handed(endings);
        let taken = entries
            .iter()
            .zip(&handed)
            .filter(|(_, connections)| **connections > 0)
            .map(|(entry, _)| Attempt {
                stream: entry.stream.clone(),
                sequence: entry.sequence,
                at: now,
            });
        self.shared.receipts.record_attempts(taken);
        answer_batch(&mut batch.appends, connections);
        for operation in batch.operations.drain(..) {
            operation.settle(Ok(()));
        }
        if !batch.receipts.is_empty() {
            let left = self
                .shared
                .receipts
                .written(&std::mem::take(&mut batch.receipts));
            let delay = if left < MAX_ROWS {
                RECEIPT_DELAY
            } else {
                Duration::ZERO
            };
            self.receipts_due = (left > 0).then(|| Instant::now() + delay);
        }
        if jobs_changed {
            self.shared
                .jobs_changed
                .send_modify(|version| *version = version.wrapping_add(1));
            self.shared.own_jobs_changed.notify_one();
        }
    }

    /// Answers all callers with the error. Receipts stay noted, for later.
    fn give_up(&mut self, batch: &mut Batch, error: &StoreError) {
        for append in batch.appends.drain(..) {
            append.fail(error.clone());
        }
        for operation in batch.operations.drain(..) {
            operation.settle(Err(error.clone()));
        }
        batch.receipts = Share::default();
        if self.receipts_due.is_some() {
            self.receipts_due = Some(Instant::now() + RECEIPT_DELAY);
        }
    }
}

/// True for a failure that every other part would meet as well.
fn is_all_the_same(error: &StoreError) -> bool {
    error.is_transient() && !error.is_contention() && !error.is_lock_timeout()
}

/// Appends come first, so that a result that is already here is not expired
/// by an operation behind it.
async fn write(conn: &mut WriterConnection, batch: &mut Batch) -> Result<Outcome, StoreError> {
    let mut work = Work::new(conn.begin().await?);
    if !batch.appends.is_empty() {
        append_batch(&mut work, &mut batch.appends).await?;
    }
    for operation in &mut batch.operations {
        operation.run(&mut work).await?;
    }
    batch.receipts.write(&mut work).await?;
    work.commit().await
}
