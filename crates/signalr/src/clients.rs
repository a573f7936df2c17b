//! Sending to clients: all, some, one; groups; awaiting an answer.

use std::{fmt, ops::Deref, sync::Arc};

use serde::de::DeserializeOwned;

use crate::{
    ConnectionId, Context,
    connection::Connection,
    outbox::{Frame, Refused},
    protocol::{Arguments, HubProtocol, WriteError},
    server::Core,
};

/// A hub as code outside of its methods sees it. Cheap to clone.
#[derive(Clone)]
pub struct HubContext {
    core: Arc<Core>,
}

/// Extracts the clients of the hub, the caller among them.
#[derive(Debug, Clone)]
pub struct Clients {
    hub: HubContext,
    caller: Context,
}

/// Extracts the groups of the hub.
#[derive(Clone)]
pub struct Groups {
    core: Arc<Core>,
}

/// Whom a message goes to.
#[derive(Debug, Clone)]
enum Target {
    All,
    AllExcept(Vec<ConnectionId>),
    Connections(Vec<ConnectionId>),
    Groups(Vec<Arc<str>>),
    GroupExcept(Arc<str>, Vec<ConnectionId>),
    Users(Vec<Arc<str>>),
}

/// Some clients of a hub, to be sent to.
#[derive(Debug, Clone)]
pub struct ClientProxy {
    hub: HubContext,
    target: Target,
}

/// One client of a hub: it can be asked for an answer.
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

impl HubContext {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    fn proxy(&self, target: Target) -> ClientProxy {
        ClientProxy {
            hub: self.clone(),
            target,
        }
    }

    /// Every client.
    #[must_use]
    pub fn all(&self) -> ClientProxy {
        self.proxy(Target::All)
    }

    /// Every client but these.
    #[must_use]
    pub fn all_except(&self, ids: &[ConnectionId]) -> ClientProxy {
        self.proxy(Target::AllExcept(ids.to_vec()))
    }

    /// The client with that connection.
    #[must_use]
    pub fn client(&self, id: ConnectionId) -> SingleClient {
        SingleClient {
            hub: self.clone(),
            id,
            caller: None,
        }
    }

    /// The clients with these connections.
    #[must_use]
    pub fn clients(&self, ids: &[ConnectionId]) -> ClientProxy {
        self.proxy(Target::Connections(ids.to_vec()))
    }

    /// The clients in a group.
    #[must_use]
    pub fn group(&self, group: &str) -> ClientProxy {
        self.proxy(Target::Groups(vec![group.into()]))
    }

    /// The clients in these groups: one in two of them gets it twice.
    #[must_use]
    pub fn groups_of(&self, groups: &[&str]) -> ClientProxy {
        self.proxy(Target::Groups(
            groups.iter().map(|&group| group.into()).collect(),
        ))
    }

    /// The clients in a group but these.
    #[must_use]
    pub fn group_except(&self, group: &str, ids: &[ConnectionId]) -> ClientProxy {
        self.proxy(Target::GroupExcept(group.into(), ids.to_vec()))
    }

    /// All connections of a user.
    #[must_use]
    pub fn user(&self, user_id: &str) -> ClientProxy {
        self.proxy(Target::Users(vec![user_id.into()]))
    }

    /// All connections of these users, each once.
    #[must_use]
    pub fn users(&self, user_ids: &[&str]) -> ClientProxy {
        self.proxy(Target::Users(
            user_ids.iter().map(|&user| user.into()).collect(),
        ))
    }

    /// The groups of the hub.
    #[must_use]
    pub fn groups(&self) -> Groups {
        Groups {
            core: Arc::clone(&self.core),
        }
    }

    /// The connections of a user on this node.
    #[must_use]
    pub fn connections_of(&self, user_id: &str) -> Vec<Context> {
        let mut contexts = Vec::new();
        self.core.registry.for_user(user_id, |connection| {
            contexts.push(Context::new(Arc::clone(connection), None));
        });
        contexts
    }
}

impl fmt::Debug for HubContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubContext").finish_non_exhaustive()
    }
}

impl Clients {
    pub(crate) fn new(caller: Context) -> Self {
        Self {
            hub: caller.hub(),
            caller,
        }
    }

    /// The client that called.
    #[must_use]
    pub fn caller(&self) -> SingleClient {
        let id = self.caller.connection_id();
        SingleClient {
            hub: self.hub.clone(),
            id,
            caller: Some(self.caller.clone()),
        }
    }

    /// Every client but the one that called.
    #[must_use]
    pub fn others(&self) -> ClientProxy {
        self.hub.all_except(&[self.caller.connection_id()])
    }

    /// The clients in a group but the one that called.
    #[must_use]
    pub fn others_in_group(&self, group: &str) -> ClientProxy {
        self.hub.group_except(group, &[self.caller.connection_id()])
    }

    /// The client with that connection, asked on behalf of the caller: while
    /// its answer is awaited, the caller's next invocation may run.
    #[must_use]
    pub fn client(&self, id: ConnectionId) -> SingleClient {
        SingleClient {
            hub: self.hub.clone(),
            id,
            caller: Some(self.caller.clone()),
        }
    }
}

impl Deref for Clients {
    type Target = HubContext;

    fn deref(&self) -> &HubContext {
        &self.hub
    }
}

impl Groups {
    /// Adds a connection to a group. One that does not exist is ignored.
    pub async fn add(&self, id: ConnectionId, group: &str) {
        self.core.registry.join(group, id);
    }

    /// Takes a connection out of a group.
    pub async fn remove(&self, id: ConnectionId, group: &str) {
        self.core.registry.leave(group, id);
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}

/// One invocation for any number of receivers, written once for each protocol
/// that one of them speaks.
#[derive(Debug)]
pub struct Message<'a, A: ?Sized> {
    target: &'a str,
    arguments: &'a A,
    invocation_id: Option<&'a str>,
    frames: [Option<Frame>; 2],
}

impl<'a, A: Arguments + ?Sized> Message<'a, A> {
    /// An invocation of `target` that wants no answer.
    #[must_use]
    pub fn new(target: &'a str, arguments: &'a A) -> Self {
        Self {
            target,
            arguments,
            invocation_id: None,
            frames: [None, None],
        }
    }

    fn expecting_answer(target: &'a str, arguments: &'a A, invocation_id: &'a str) -> Self {
        Self {
            target,
            arguments,
            invocation_id: Some(invocation_id),
            frames: [None, None],
        }
    }

    fn frame(&mut self, protocol: HubProtocol) -> Result<Frame, WriteError> {
        let place = &mut self.frames[match protocol {
            HubProtocol::Json => 0,
            HubProtocol::MessagePack => 1,
        }];
        if let Some(frame) = place {
            return Ok(frame.clone());
        }
        let frame = Frame::message(protocol, |out| {
            protocol.write_invocation(out, self.invocation_id, self.target, self.arguments, &[])
        })?;
        Ok(place.insert(frame).clone())
    }
}

impl ClientProxy {
    /// Sends an invocation that wants no answer. Gives the number of
    /// connections on this node that it was handed to; a client that is gone
    /// is no error.
    ///
    /// # Errors
    /// When the arguments cannot be written in the protocol of a receiver.
    pub async fn try_send<A: Arguments>(
        &self,
        target: &str,
        arguments: A,
    ) -> Result<usize, WriteError> {
        let mut message = Message::new(target, &arguments);
        let mut sent = 0;
        let mut failure = None;
        let registry = &self.hub.core.registry;
        let mut deliver = |connection: &Arc<Connection>| {
            let Some(protocol) = connection.protocol() else {
                return;
            };
            match message.frame(protocol) {
                Ok(frame) => sent += usize::from(connection.send(frame, 0).is_ok()),
                Err(error) => failure = Some(error),
            }
        };
        match &self.target {
            Target::All => registry.for_all(deliver),
            Target::AllExcept(ids) => registry.for_all(|connection| {
                if !ids.contains(&connection.id()) {
                    deliver(connection);
                }
            }),
            Target::Connections(ids) => {
                for (at, id) in ids.iter().enumerate() {
                    let first = !ids[..at].contains(id);
                    if let Some(connection) = registry.by_id(*id).filter(|_| first) {
                        deliver(&connection);
                    }
                }
            }
            Target::Groups(groups) => {
                for group in groups {
                    registry.for_group(group, &mut deliver);
                }
            }
            Target::GroupExcept(group, ids) => registry.for_group(group, |connection| {
                if !ids.contains(&connection.id()) {
                    deliver(connection);
                }
            }),
            Target::Users(users) => {
                for (at, user) in users.iter().enumerate() {
                    if !users[..at].contains(user) {
                        registry.for_user(user, &mut deliver);
                    }
                }
            }
        }
        failure.map_or(Ok(sent), Err)
    }

    /// [`try_send`](Self::try_send); a message that cannot be written is
    /// logged and dropped.
    pub async fn send<A: Arguments>(&self, target: &str, arguments: A) -> usize {
        self.try_send(target, arguments)
            .await
            .unwrap_or_else(|error| {
                tracing::error!(hub.event = target, %error, "a message was not sent");
                0
            })
    }
}

impl SingleClient {
    /// The connection.
    #[must_use]
    pub fn connection_id(&self) -> ConnectionId {
        self.id
    }

    /// Sends an invocation that wants no answer; false when the client is gone.
    pub async fn send<A: Arguments>(&self, target: &str, arguments: A) -> bool {
        let Some(connection) = self.hub.core.registry.by_id(self.id) else {
            return false;
        };
        let sent = Context::new(connection, None).send(&mut Message::new(target, &arguments), 0);
        sent.unwrap_or_else(|error| {
            tracing::error!(hub.event = target, %error, "a message was not sent");
            false
        })
    }

    /// Calls a method of the client and waits for its answer.
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
            && caller.call.is_none()
        {
            return Err(InvokeError::InsideConnect);
        }
        let unknown = || InvokeError::UnknownConnection(self.id);
        let connection = core.registry.by_id(self.id).ok_or_else(unknown)?;
        let protocol = connection.protocol().ok_or_else(unknown)?;
        let (pending, answer) = core.client_results.register(self.id);
        let frame = Message::expecting_answer(target, &arguments, pending.id()).frame(protocol)?;
        if connection.send(frame, 0) == Err(Refused::Ended) {
            return Err(InvokeError::Disconnected(self.id));
        }
        // The client's answer comes behind its other messages: the caller's
        // slot must not keep them from being read.
        if let Some(call) = self.caller.as_ref().and_then(|caller| caller.call.as_ref()) {
            call.release_slot();
            self.caller
                .as_ref()
                .expect("it has a call")
                .connection
                .wake_driver();
        }
        answer
            .await
            .unwrap_or(Err(InvokeError::Disconnected(self.id)))
    }
}

/// Sending to one connection that is at hand.
impl Context {
    /// Sends without waiting; [`Hub::on_receipt`](crate::Hub::on_receipt) is
    /// told with `tag` when the client has it. Tags should grow; 0 asks for no
    /// receipt. False when the client is gone, or closed as too slow.
    ///
    /// # Errors
    /// When the arguments cannot be written in the client's protocol.
    pub fn send<A: Arguments + ?Sized>(
        &self,
        message: &mut Message<'_, A>,
        tag: u64,
    ) -> Result<bool, WriteError> {
        let Some(protocol) = self.connection.protocol() else {
            return Ok(false);
        };
        let frame = message.frame(protocol)?;
        Ok(self.connection.send(frame, tag).is_ok())
    }

    /// Waits while the client has not taken what was sent before: for replays,
    /// which could otherwise fill a slow client's queue.
    pub async fn wait_for_space(&self) {
        self.connection.wait_for_space().await;
    }

    /// Bytes that wait to be written to the client: what may be lost can be
    /// left out while there are many.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.connection.outbox().waiting_bytes()
    }

    /// How long nothing has come from the client; zero while it waits in a
    /// poll, since such a client has nothing else to say.
    #[must_use]
    pub fn silent_for(&self) -> std::time::Duration {
        let times = &self.connection.times;
        let polls = self.connection.transport() == Some(crate::TransportKind::LongPolling);
        if polls
            && times
                .detached_since
                .load(std::sync::atomic::Ordering::Relaxed)
                == 0
        {
            return std::time::Duration::ZERO;
        }
        self.connection.core().since(&times.last_heard)
    }

    /// Whether the connection is over or about to be.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.connection.is_closing() || self.connection.outbox().has_ended()
    }
}
