//! One client: sending to it, and asking it for an answer.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::{HubContext, Message};
use crate::{
    BackplaneError, Channel, ConnectionId, Context, Event, Question,
    backplane::Relay,
    connection::Connection,
    outbox::Refused,
    protocol::{Arguments, HubProtocol, WriteError},
};

/// One client of a hub: it can be asked for an answer.
///
/// ```
/// use signalr::{Clients, HubError};
///
/// async fn ask(clients: Clients) -> Result<bool, HubError> {
///     Ok(clients.caller().invoke("Confirm", ("Really?",)).await?)
/// }
/// # struct Chat;
/// # impl signalr::Hub for Chat {}
/// # signalr::HubServer::builder(Chat).method("Ask", ask);
/// ```
#[derive(Debug, Clone)]
pub struct SingleClient {
    hub: HubContext,
    id: ConnectionId,
    caller: Option<Context>,
}

/// Why a client gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// There is no such connection.
    #[error("Connection '{0}' does not exist.")]
    UnknownConnection(ConnectionId),
    /// It ended before it answered.
    #[error("Connection '{0}' disconnected.")]
    Disconnected(ConnectionId),
    /// A hub may not ask from `on_connected`: the client could not answer.
    #[error("Client results inside OnConnectedAsync Hub methods are not allowed.")]
    InsideConnect,
    /// It is at another node, which did not say anything within
    /// [`remote_result_timeout`](crate::HubOptions::remote_result_timeout).
    #[error("Connection '{0}' gave no answer in time.")]
    TimedOut(ConnectionId),
    /// It is not here, and other nodes cannot be asked.
    #[error(transparent)]
    Backplane(#[from] BackplaneError),
    /// The client answered with an error.
    #[error("{0}")]
    Client(String),
    /// The client answered without a result.
    #[error("The client answered without a result.")]
    NoResult,
    /// The client's answer is of another type.
    #[error("Error trying to deserialize result: {0}")]
    WrongType(String),
    /// The arguments cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl SingleClient {
    pub(super) fn new(hub: HubContext, id: ConnectionId, caller: Option<Context>) -> Self {
        Self { hub, id, caller }
    }

    /// The connection.
    #[must_use]
    pub fn connection_id(&self) -> ConnectionId {
        self.id
    }

    /// Sends an invocation that wants no answer; false when the client is
    /// gone. What is handed to the backplane, as the client is not here, counts
    /// as sent.
    pub async fn send<A: Arguments>(&self, target: &str, arguments: A) -> bool {
        let core = &self.hub.core;
        let mut message = Message::new(target, &arguments);
        if let Some(connection) = core.registry.by_id(self.id) {
            let sent = Context::new(connection, None).send(&mut message, 0);
            return sent.unwrap_or_else(|error| {
                tracing::error!(hub.event = target, %error, "a message was not sent");
                false
            });
        }
        match &core.relay {
            Some(relay) if core.registry.may_be_elsewhere(self.id) => {
                let frames = message.for_other_nodes();
                let written = !frames.is_empty();
                if written {
                    relay.publish(vec![Channel::Connection(self.id)], Vec::new(), frames);
                }
                written
            }
            _ => false,
        }
    }

    /// Calls a method of the client and waits for its answer, wherever the
    /// client is.
    ///
    /// # Errors
    /// When the client is gone, answers with an error or with another type.
    pub async fn invoke<T, A>(&self, target: &str, arguments: A) -> Result<T, InvokeError>
    where
        T: DeserializeOwned + Send + 'static,
        A: Arguments,
    {
        let core = &self.hub.core;
        if let Some(caller) = &self.caller
            && caller.is_connecting()
        {
            return Err(InvokeError::InsideConnect);
        }
        match (core.registry.by_id(self.id), &core.relay) {
            (Some(connection), _) => self.invoke_here(&connection, target, &arguments).await,
            (None, Some(relay)) if core.registry.may_be_elsewhere(self.id) => {
                self.invoke_elsewhere(relay, target, &arguments).await
            }
            (None, _) => Err(InvokeError::UnknownConnection(self.id)),
        }
    }

    /// Sends a typed event, as [`send`](Self::send) does.
    pub async fn emit<E: Event>(&self, event: E) -> bool {
        self.send(E::NAME, event).await
    }

    /// Asks a typed question, as [`invoke`](Self::invoke) does.
    ///
    /// # Errors
    /// When the client is gone, answers with an error or with another type.
    pub async fn ask<Q: Question>(&self, question: Q) -> Result<Q::Answer, InvokeError> {
        self.invoke(Q::NAME, question).await
    }

    async fn invoke_here<T, A>(
        &self,
        connection: &Arc<Connection>,
        target: &str,
        arguments: &A,
    ) -> Result<T, InvokeError>
    where
        T: DeserializeOwned + Send + 'static,
        A: Arguments,
    {
        let unknown = || InvokeError::UnknownConnection(self.id);
        let protocol = connection.protocol().ok_or_else(unknown)?;
        let (pending, answer) = self.hub.core.client_results.register(self.id);
        let frame = Message::expecting_answer(target, arguments, pending.id()).frame(protocol)?;
        if connection.send(frame, 0) == Err(Refused::Ended) {
            return Err(InvokeError::Disconnected(self.id));
        }
        self.release_slot();
        self.answered(answer).await
    }

    async fn invoke_elsewhere<T, A>(
        &self,
        relay: &Relay,
        target: &str,
        arguments: &A,
    ) -> Result<T, InvokeError>
    where
        T: DeserializeOwned + Send + 'static,
        A: Arguments,
    {
        let core = &self.hub.core;
        let (pending, answer) = core.client_results.register_remote(self.id);
        let mut message = Message::expecting_answer(target, arguments, pending.id());
        for protocol in HubProtocol::ALL {
            message.frame(protocol)?;
        }
        let frames = message.for_other_nodes();
        self.release_slot();
        let asked = async {
            if relay.ask(self.id, pending.id(), frames).await? == Some(0) {
                return Err(InvokeError::UnknownConnection(self.id));
            }
            self.answered(answer).await
        };
        let limit = core.options.remote_result_timeout;
        let timed_out = |_| Err(InvokeError::TimedOut(self.id));
        tokio::time::timeout(limit, asked)
            .await
            .unwrap_or_else(timed_out)
    }

    /// The client's answer comes behind its other messages: the caller's slot
    /// must not keep them from being read.
    fn release_slot(&self) {
        if let Some(caller) = &self.caller
            && let Some(call) = &caller.call
        {
            call.release_slot();
            caller.connection.wake_driver();
        }
    }

    async fn answered<T>(
        &self,
        answer: oneshot::Receiver<Result<T, InvokeError>>,
    ) -> Result<T, InvokeError> {
        let lost = |_| Err(InvokeError::Disconnected(self.id));
        answer.await.unwrap_or_else(lost)
    }
}
