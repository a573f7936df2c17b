//! The one writer: takes what waits, commits it as one transaction, hands the
//! new entries to the delivery hook, answers.
//!
//! There is no timer: a transaction takes what came while the one before it
//! was written, so batches grow with the load and a lone write waits for
//! nothing. Receipts alone wait a little, since nobody waits for them.

use std::{error::Error, sync::Arc, time::Duration};

use sqlx::{Connection, SqliteConnection};
use tokio::time::{Instant, sleep_until};

use super::{
    Shared,
    append::{QueuedAppend, answer_batch, append_batch},
    queue::{QueuedOperation, Waiting},
    receipts::Share,
    statement::MAX_ROWS,
    transaction::roll_back,
    work::{Outcome, Work},
};
use crate::store::{Handed, OnCommitted, StoreError};

/// Operations that one transaction takes; each costs a few hops to the
/// database's thread.
const MAX_OPERATIONS: usize = 128;

/// How long receipts wait for a transaction to share.
const RECEIPT_DELAY: Duration = Duration::from_millis(100);

/// Shares of receipts that are written at the end, at most.
const LAST_SHARES: usize = 64;

/// The writer's state.
pub(super) struct Writer {
    pub(super) conn: SqliteConnection,
    pub(super) shared: Arc<Shared>,
    pub(super) waiting: Waiting,
    pub(super) on_committed: OnCommitted,
    pub(super) receipts_due: Option<Instant>,
}

/// What one transaction carries out.
#[derive(Default)]
struct Batch {
    appends: Vec<QueuedAppend>,
    operations: Vec<Box<dyn QueuedOperation>>,
    receipts: Share,
}

impl Writer {
    /// Writes until the store is closed and its queues are empty.
    pub(super) async fn run(mut self) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        while self.gather(&mut batch).await {
            self.carry_out(&mut batch).await?;
        }
        for _ in 0..LAST_SHARES {
            batch.receipts = self.shared.receipts.share();
            if batch.receipts.is_empty() {
                break;
            }
            self.carry_out(&mut batch).await?;
        }
        // The WAL is folded into the file, so that a copy of it is whole.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut self.conn)
            .await?;
        self.conn.close().await?;
        Ok(())
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

    /// Commits the batch, or else each of its parts alone, and answers all
    /// callers. An error only where the writer cannot go on.
    async fn carry_out(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
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
        if error.is_transient() || batch.parts() == 1 {
            self.give_up(batch, &error);
            return if matches!(error, StoreError::Closed) {
                Err(error)
            } else {
                Ok(())
            };
        }
        for mut part in std::mem::take(batch).split() {
            match self.transact(&mut part).await {
                Ok(outcome) => self.deliver(&mut part, outcome),
                Err(error) => self.give_up(&mut part, &error),
            }
        }
        Ok(())
    }

    async fn transact(&mut self, batch: &mut Batch) -> Result<Outcome, StoreError> {
        let now = self.shared.options.clock.now();
        let written = write(Work::new(&mut self.conn, now), batch).await;
        if written.is_err() {
            roll_back(&mut self.conn).await;
        }
        written
    }

    /// Hands a committed batch's entries out and answers its callers.
    fn deliver(&mut self, batch: &mut Batch, outcome: Outcome) {
        let Outcome {
            entries,
            endings,
            jobs_changed,
        } = outcome;
        let handed = match entries.as_slice() {
            [] => Vec::new(),
            entries => (self.on_committed)(entries),
        };
        let connections = |notification_id: i64| {
            // Ids are given in order, so an entry's index follows from its id.
            let first = entries.first().map_or(0, |entry| entry.notification_id);
            let index = usize::try_from(notification_id - first).unwrap_or(usize::MAX);
            handed.get(index).copied().unwrap_or(0)
        };
        let now = self.shared.options.clock.now();
        let endings = entries
            .iter()
            .filter(|entry| endings.contains(&entry.notification_id))
            .filter_map(|entry| {
                Some(Handed {
                    analysis_id: entry.analysis_id?,
                    sequence: entry.sequence,
                    connections: connections(entry.notification_id),
                    at: now,
                })
            });
        self.shared.receipts.record_handed(endings);
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

impl Batch {
    fn parts(&self) -> usize {
        self.appends.len() + self.operations.len() + usize::from(!self.receipts.is_empty())
    }

    /// Each part as a batch of its own.
    fn split(self) -> impl Iterator<Item = Self> {
        let Self {
            appends,
            operations,
            receipts,
        } = self;
        let appends = appends.into_iter().map(|append| Self {
            appends: vec![append],
            ..Self::default()
        });
        let operations = operations.into_iter().map(|operation| Self {
            operations: vec![operation],
            ..Self::default()
        });
        let receipts = (!receipts.is_empty()).then(|| Self {
            receipts,
            ..Self::default()
        });
        appends.chain(operations).chain(receipts)
    }
}

/// Appends come first, so that a result that is already here is not expired
/// by an operation behind it.
async fn write(mut work: Work<'_>, batch: &mut Batch) -> Result<Outcome, StoreError> {
    if !batch.appends.is_empty() {
        append_batch(&mut work, &mut batch.appends).await?;
    }
    for operation in &mut batch.operations {
        operation.run(&mut work).await?;
    }
    batch.receipts.write(&mut work).await?;
    work.commit().await
}
