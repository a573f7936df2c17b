//! Calls from the server to one client, and the answers that are awaited.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::{ConnectionId, clients::InvokeError, close::CloseReason, protocol::CompletionOutcome};

/// Reads the client's answer into the type that the caller wants.
type Answer = Box<dyn FnOnce(Result<&CompletionOutcome<'_>, InvokeError>) + Send + Sync>;

struct Pending {
    connection: ConnectionId,
    answer: Answer,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// The calls of one hub that wait for a client.
#[derive(Debug, Default)]
pub(crate) struct ClientResults {
    pending: DashMap<Box<str>, Pending>,
    counter: AtomicU64,
}

/// Forgets the call when its caller no longer waits.
#[derive(Debug)]
pub(crate) struct PendingGuard<'a> {
    results: &'a ClientResults,
    id: Box<str>,
}

impl PendingGuard<'_> {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for PendingGuard<'_> {
    fn drop(&mut self) {
        self.results.pending.remove(&self.id);
    }
}

impl ClientResults {
    /// A new call of `connection`, with the place where its answer comes.
    pub(crate) fn register<T: DeserializeOwned + Send + 'static>(
        &self,
        connection: ConnectionId,
    ) -> (PendingGuard<'_>, oneshot::Receiver<Result<T, InvokeError>>) {
        let number = self.counter.fetch_add(1, Ordering::Relaxed) + 1;
        let id: Box<str> = format!("s{number}").into();
        let (sender, receiver) = oneshot::channel();
        let answer: Answer = Box::new(move |outcome| {
            let _ = sender.send(outcome.and_then(read));
        });
        self.pending
            .insert(id.clone(), Pending { connection, answer });
        (PendingGuard { results: self, id }, receiver)
    }

    /// A client answers. A late or unknown answer is ignored; one to another
    /// client's call ends the connection.
    pub(crate) fn complete(
        &self,
        connection: ConnectionId,
        id: &str,
        outcome: &CompletionOutcome<'_>,
    ) -> Result<(), CloseReason> {
        let taken = self
            .pending
            .remove_if(id, |_, pending| pending.connection == connection);
        if let Some((_, pending)) = taken {
            (pending.answer)(Ok(outcome));
            return Ok(());
        }
        if self.pending.contains_key(id) {
            return Err(CloseReason::Protocol {
                exception: "InvalidOperationException",
                message: format!(
                    "Connection ID '{connection}' is not valid for invocation ID '{id}'."
                ),
            });
        }
        Ok(())
    }

    /// A client is gone: it answers nothing any more.
    pub(crate) fn disconnect(&self, connection: ConnectionId) {
        if self.pending.is_empty() {
            return;
        }
        let waiting: Vec<Box<str>> = self
            .pending
            .iter()
            .filter(|entry| entry.connection == connection)
            .map(|entry| entry.key().clone())
            .collect();
        for id in waiting {
            if let Some((_, pending)) = self.pending.remove(&id) {
                (pending.answer)(Err(InvokeError::Disconnected(connection)));
            }
        }
    }
}

fn read<T: DeserializeOwned>(outcome: &CompletionOutcome<'_>) -> Result<T, InvokeError> {
    match outcome {
        CompletionOutcome::Result(value) => value
            .deserialize()
            .map_err(|error| InvokeError::WrongType(error.0)),
        CompletionOutcome::Error(error) => Err(InvokeError::Client(error.clone().into_owned())),
        CompletionOutcome::Void => Err(InvokeError::NoResult),
    }
}
