//! Calls from the server to one client, and the answers that are awaited.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use dashmap::{DashMap, Entry};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::{
    ConnectionId, WantedResult,
    clients::InvokeError,
    close::CloseReason,
    connection_token::random,
    protocol::{CompletionOutcome, HubProtocol},
};

/// Reads the client's answer into the type that the caller wants.
type Answer = Box<dyn FnOnce(Result<&CompletionOutcome<'_>, InvokeError>) + Send + Sync>;

/// Calls from other nodes that one client may leave unanswered: nobody tells
/// this node when the caller gives up.
const MAX_FROM_ELSEWHERE: usize = 1000;

struct Pending {
    connection: ConnectionId,
    waits: Waits,
}

/// Who waits for an answer, and who gives it.
enum Waits {
    /// Code here, for a client here.
    Here(Answer),
    /// Code here, for a client of another node.
    HereForRemote(Answer),
    /// Code on another node, for a client here.
    Elsewhere {
        return_to: Arc<str>,
        protocol: HubProtocol,
    },
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
    /// How many calls of other nodes each client has to answer.
    from_elsewhere: DashMap<ConnectionId, usize>,
    counter: AtomicU64,
}

/// Where the answer of a client goes that another node asked.
pub(crate) struct Return {
    pub(crate) to: Arc<str>,
    pub(crate) protocol: HubProtocol,
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
        self.wait(format!("s{number}").into(), connection, Waits::Here)
    }

    /// A new call of a client of another node. Its id is as long and random as
    /// those of ASP.NET Core's backplane: no other node has one like it.
    pub(crate) fn register_remote<T: DeserializeOwned + Send + 'static>(
        &self,
        connection: ConnectionId,
    ) -> (PendingGuard<'_>, oneshot::Receiver<Result<T, InvokeError>>) {
        let id = ConnectionId::from_block(random());
        self.wait(id.as_str().into(), connection, Waits::HereForRemote)
    }

    fn wait<T: DeserializeOwned + Send + 'static>(
        &self,
        id: Box<str>,
        connection: ConnectionId,
        waits: impl FnOnce(Answer) -> Waits,
    ) -> (PendingGuard<'_>, oneshot::Receiver<Result<T, InvokeError>>) {
        let (sender, receiver) = oneshot::channel();
        let answer: Answer = Box::new(move |outcome| {
            let _ = sender.send(outcome.and_then(read));
        });
        let waits = waits(answer);
        self.pending
            .insert(id.clone(), Pending { connection, waits });
        (PendingGuard { results: self, id }, receiver)
    }

    /// A client here is to answer a call of another node.
    pub(crate) fn expect_elsewhere(
        &self,
        connection: ConnectionId,
        protocol: HubProtocol,
        wanted: &WantedResult,
    ) -> Result<(), &'static str> {
        let mut waiting = self.from_elsewhere.entry(connection).or_default();
        if *waiting >= MAX_FROM_ELSEWHERE {
            return Err("The client has too many invocations to answer.");
        }
        if self.wait_elsewhere(connection, protocol, wanted) {
            *waiting += 1;
            return Ok(());
        }
        drop(waiting);
        self.from_elsewhere
            .remove_if(&connection, |_, waiting| *waiting == 0);
        Err("The invocation's id is in use.")
    }

    /// False where the id is in use. Nothing is locked when it returns: the
    /// other map is locked before this one, never after.
    fn wait_elsewhere(
        &self,
        connection: ConnectionId,
        protocol: HubProtocol,
        wanted: &WantedResult,
    ) -> bool {
        match self.pending.entry(wanted.invocation_id.clone()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Pending {
                    connection,
                    waits: Waits::Elsewhere {
                        return_to: Arc::clone(&wanted.return_to),
                        protocol,
                    },
                });
                true
            }
        }
    }

    /// The call of another node never reached the client; false when it has
    /// its answer already.
    pub(crate) fn forget_elsewhere(&self, id: &str, connection: ConnectionId) -> bool {
        let taken = self
            .pending
            .remove_if(id, |_, pending| pending.connection == connection);
        if taken.is_some() {
            self.count_down(connection);
        }
        taken.is_some()
    }

    /// A client answers; gives where the answer goes, when another node
    /// waits for it. A late or unknown answer is ignored; one to another
    /// client's call ends the connection.
    pub(crate) fn complete(
        &self,
        connection: ConnectionId,
        id: &str,
        outcome: &CompletionOutcome<'_>,
    ) -> Result<Option<Return>, CloseReason> {
        let taken = self
            .pending
            .remove_if(id, |_, pending| pending.connection == connection);
        match taken.map(|(_, pending)| pending.waits) {
            Some(Waits::Here(answer) | Waits::HereForRemote(answer)) => answer(Ok(outcome)),
            Some(Waits::Elsewhere {
                return_to,
                protocol,
            }) => {
                self.count_down(connection);
                return Ok(Some(Return {
                    to: return_to,
                    protocol,
                }));
            }
            None if self.pending.contains_key(id) => {
                return Err(CloseReason::Protocol {
                    exception: "InvalidOperationException",
                    message: format!(
                        "Connection ID '{connection}' is not valid for invocation ID '{id}'."
                    ),
                });
            }
            None => {}
        }
        Ok(None)
    }

    /// A client of another node answers.
    pub(crate) fn complete_remote(&self, id: &str, outcome: &CompletionOutcome<'_>) {
        if let Some(answer) = self.take_remote(id, |_| true) {
            answer(Ok(outcome));
        }
    }

    /// No node has the client that is to answer.
    pub(crate) fn fail_remote(&self, id: &str, connection: ConnectionId) {
        if let Some(answer) = self.take_remote(id, |asked| asked == connection) {
            answer(Err(InvokeError::UnknownConnection(connection)));
        }
    }

    fn take_remote(&self, id: &str, of: impl Fn(ConnectionId) -> bool) -> Option<Answer> {
        let taken = self.pending.remove_if(id, |_, pending| {
            matches!(pending.waits, Waits::HereForRemote(_)) && of(pending.connection)
        });
        match taken?.1.waits {
            Waits::HereForRemote(answer) => Some(answer),
            Waits::Here(_) | Waits::Elsewhere { .. } => None,
        }
    }

    /// A client is gone: it answers nothing any more. Gives the calls of other
    /// nodes that are to be told.
    pub(crate) fn disconnect(&self, connection: ConnectionId) -> Vec<(Box<str>, Return)> {
        let mut elsewhere = Vec::new();
        if self.pending.is_empty() {
            return elsewhere;
        }
        let waiting: Vec<Box<str>> = self
            .pending
            .iter()
            .filter(|entry| entry.connection == connection)
            .map(|entry| entry.key().clone())
            .collect();
        for id in waiting {
            match self.pending.remove(&id).map(|(_, pending)| pending.waits) {
                Some(Waits::Here(answer) | Waits::HereForRemote(answer)) => {
                    answer(Err(InvokeError::Disconnected(connection)));
                }
                Some(Waits::Elsewhere {
                    return_to,
                    protocol,
                }) => {
                    let to = return_to;
                    elsewhere.push((id, Return { to, protocol }));
                }
                None => {}
            }
        }
        self.from_elsewhere.remove(&connection);
        elsewhere
    }

    fn count_down(&self, connection: ConnectionId) {
        self.from_elsewhere
            .remove_if_mut(&connection, |_, waiting| {
                *waiting = waiting.saturating_sub(1);
                *waiting == 0
            });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_use_is_refused_and_counts_for_nobody() {
        let results = ClientResults::default();
        let [first, second] = [[1; 16], [2; 16]].map(ConnectionId::from_block);
        let wanted = WantedResult {
            invocation_id: "1".into(),
            return_to: "there".into(),
        };
        let expect = |id| results.expect_elsewhere(id, HubProtocol::Json, &wanted);
        assert!(expect(first).is_ok());
        assert!(expect(second).is_err());
        assert!(expect(first).is_err());
        let waiting = |id: &ConnectionId| results.from_elsewhere.get(id).map(|each| *each);
        assert_eq!((waiting(&first), waiting(&second)), (Some(1), None));
        assert!(results.forget_elsewhere("1", first));
        assert_eq!(waiting(&first), None);
        assert!(expect(second).is_ok());
    }

    #[test]
    fn a_question_that_nobody_answers_fails_for_its_client_alone() {
        let results = ClientResults::default();
        let [asked, other] = [[1; 16], [2; 16]].map(ConnectionId::from_block);
        let (pending, mut answer) = results.register_remote::<String>(asked);
        results.fail_remote(pending.id(), other);
        assert!(answer.try_recv().is_err());
        results.fail_remote(pending.id(), asked);
        let unknown = Err(InvokeError::UnknownConnection(asked));
        assert_eq!(answer.try_recv(), Ok(unknown));
    }
}
