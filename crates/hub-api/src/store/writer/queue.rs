//! What waits for the writer, and how a caller waits for it.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{append::QueuedAppend, work::Work};
use crate::store::{Append, NewNotification, StoreError};

/// A use case that writes, but for appends, which are batched in a way of their own.
pub(in crate::store) trait Operation: Send + 'static {
    /// What the caller gets.
    type Output: Send;

    /// Carries it out within the transaction. Run again, alone, when the
    /// transaction that it shared was rolled back.
    fn run(
        &self,
        work: &mut Work<'_>,
    ) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;

    /// What it locks where other hubs write as well: it decides which others
    /// share its transaction, and in what order.
    fn locks(&self) -> Locks<'_> {
        Locks::Nothing
    }
}

/// What an [`Operation`] locks. Those of one transaction are carried out in
/// this order, so that two hubs never wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Locks<'a> {
    /// One job.
    Job(i64),
    /// One idempotency key, by its scope and its text.
    Key(&'a str, &'a str),
    /// Only what it has made, or what it skips where another one holds it.
    Nothing,
    /// One stream.
    Stream(&'a str),
    /// More: it has a transaction of its own.
    Many,
}

/// An [`Operation`] with the caller that waits for it, of whatever type.
pub(in crate::store) trait QueuedOperation: Send {
    /// Runs it and keeps its output for [`settle`](Self::settle).
    fn run<'a>(
        &'a mut self,
        work: &'a mut Work<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

    /// What it locks.
    fn locks(&self) -> Locks<'_>;

    /// Answers the caller: the output once it is committed, or why not.
    fn settle(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Slot<O: Operation> {
    operation: O,
    output: Option<O::Output>,
    reply: oneshot::Sender<Result<O::Output, StoreError>>,
}

impl<O: Operation> QueuedOperation for Slot<O> {
    fn run<'a>(
        &'a mut self,
        work: &'a mut Work<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>> {
        Box::pin(async move {
            // Nobody waits any more: a lease, say, would be given to no one.
            if !self.reply.is_closed() {
                self.output = Some(self.operation.run(work).await?);
            }
            Ok(())
        })
    }

    fn locks(&self) -> Locks<'_> {
        self.operation.locks()
    }

    fn settle(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (committed, self.output) {
            (Ok(()), Some(output)) => Ok(output),
            (Ok(()), None) => Err(StoreError::TimedOut),
            (Err(error), _) => Err(error),
        };
        // A caller that has gone needs no answer.
        let _ = self.reply.send(answer);
    }
}

/// The callers' end of the writer's queues.
///
/// Appends and all other writes wait in a queue each, and each transaction
/// takes a share of both: an upload never waits behind thousands of appends.
#[derive(Debug)]
pub(in crate::store) struct Queues {
    appends: mpsc::Sender<QueuedAppend>,
    operations: mpsc::Sender<Box<dyn QueuedOperation>>,
    patience: Duration,
}

/// The writer's end.
#[derive(Debug)]
pub(in crate::store) struct Waiting {
    pub(in crate::store) appends: mpsc::Receiver<QueuedAppend>,
    pub(in crate::store) operations: mpsc::Receiver<Box<dyn QueuedOperation>>,
}

impl std::fmt::Debug for dyn QueuedOperation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueuedOperation")
    }
}

/// Makes the queues, each of `capacity` places.
pub(in crate::store) fn queues(capacity: usize, patience: Duration) -> (Queues, Waiting) {
    let (append_sender, append_receiver) = mpsc::channel(capacity);
    let (operation_sender, operation_receiver) = mpsc::channel(capacity);
    let queues = Queues {
        appends: append_sender,
        operations: operation_sender,
        patience,
    };
    let waiting = Waiting {
        appends: append_receiver,
        operations: operation_receiver,
    };
    (queues, waiting)
}

impl Queues {
    /// Queues an append and waits until it is committed.
    pub(in crate::store) async fn append(
        &self,
        new: NewNotification,
    ) -> Result<Append, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(&self.appends, QueuedAppend::new(new, reply))
            .await?;
        self.wait(answer).await
    }

    /// Queues an operation and waits until it is committed.
    pub(in crate::store) async fn submit<O: Operation>(
        &self,
        operation: O,
    ) -> Result<O::Output, StoreError> {
        let (reply, answer) = oneshot::channel();
        let slot = Box::new(Slot {
            operation,
            output: None,
            reply,
        });
        self.send(&self.operations, slot).await?;
        self.wait(answer).await
    }

    async fn send<T>(&self, queue: &mpsc::Sender<T>, item: T) -> Result<(), StoreError> {
        match queue.try_send(item) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(StoreError::Closed),
            Err(mpsc::error::TrySendError::Full(item)) => {
                match timeout(self.patience, queue.send(item)).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(StoreError::Closed),
                    Err(_) => Err(StoreError::Overloaded),
                }
            }
        }
    }

    async fn wait<T>(
        &self,
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match timeout(self.patience, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::TimedOut),
        }
    }

    /// Writes that wait.
    pub(in crate::store) fn len(&self) -> usize {
        let waiting = |free: usize, capacity: usize| capacity - free;
        waiting(self.appends.capacity(), self.appends.max_capacity())
            + waiting(self.operations.capacity(), self.operations.max_capacity())
    }

    /// False once the writer takes nothing more.
    pub(in crate::store) fn is_open(&self) -> bool {
        !self.appends.is_closed()
    }
}
