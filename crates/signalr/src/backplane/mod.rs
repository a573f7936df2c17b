//! Several nodes as one hub: what a backplane carries between them.
//!
//! Owns the trait and the types that cross it. Its shape is that of ASP.NET
//! Core's Redis backplane, so that an implementation can speak that wire
//! format: invocations go to a channel (all, one connection, a group, a user)
//! as ready frames of every protocol, group changes go to the node that has
//! the connection and are acknowledged, answers of clients go back to the node
//! that asked. `relay` hands things out in order and within a bounded time,
//! `subscriptions` keeps which channels this node needs, `node` takes in what
//! other nodes send.
//!
//! Local clients never depend on any of it: they are served at once, and each
//! invocation carries the name of the node that sends it, which drops it when
//! it comes back.

mod carrier;
mod relay;
mod subscriptions;
mod node;

use std::{fmt, future::Future, sync::Arc};

use bytes::Bytes;

use crate::{ConnectionId, protocol::HubProtocol};

pub(crate) use carrier::SharedCarrier;
pub use node::BackplaneNode;
pub use relay::BackplaneStats;
pub(crate) use relay::Relay;
pub(crate) use subscriptions::Subscriptions;

/// Carries messages between the nodes of one hub; given to
/// [`HubBuilder::backplane`](crate::HubBuilder::backplane).
///
/// The hub calls it from tasks of its own, never from a hub method that sends,
/// gives up on what takes longer than
/// [`backplane_timeout`](crate::HubOptions::backplane_timeout), and counts and
/// logs what fails: local clients have their messages by then. So an
/// implementation needs no queue, no timeouts and no retries for what it is
/// asked here; what it needs is a connection that comes back by itself. Its
/// tasks should end when it is dropped, which is when the hub is gone.
///
/// Methods may be written as `async fn`.
///
/// ```
/// use signalr::{
///     Backplane, BackplaneError, BackplaneNode, Channel, ConnectionId, GroupChange, Hub,
///     HubServer, RemoteCompletion, RemoteInvocation, SubscriptionChange,
/// };
///
/// /// Stands for a client of a real carrier.
/// struct Cable;
///
/// impl Backplane for Cable {
///     fn start(&self, node: BackplaneNode) {
///         // Read from the carrier in a task: node.deliver(..), node.complete(..)
///         println!("this node is called {}", node.name());
///     }
///
///     async fn publish(
///         &self,
///         channel: &Channel,
///         invocation: &RemoteInvocation,
///     ) -> Result<Option<usize>, BackplaneError> {
///         println!("{} frames for {channel}", invocation.frames.len());
///         Ok(None)
///     }
///
///     async fn subscribe(&self, changes: &[SubscriptionChange]) -> Result<(), BackplaneError> {
///         for change in changes {
///             println!("{} {}", if change.wanted { "+" } else { "-" }, change.channel);
///         }
///         Ok(())
///     }
///
///     async fn change_group(
///         &self,
///         _: GroupChange,
///         _: &str,
///         _: ConnectionId,
///     ) -> Result<(), BackplaneError> {
///         Err(BackplaneError::Unavailable("nobody is at the other end".into()))
///     }
///
///     async fn complete(&self, _: &str, _: &RemoteCompletion) -> Result<(), BackplaneError> {
///         Ok(())
///     }
/// }
///
/// struct Chat;
/// impl Hub for Chat {}
///
/// # let runtime = tokio::runtime::Runtime::new().unwrap();
/// # let _guard = runtime.enter();
/// let chat = HubServer::builder(Chat).backplane(Cable).build()?;
/// # drop(chat);
/// # Ok::<(), signalr::BuildError>(())
/// ```
pub trait Backplane: Send + Sync + 'static {
    /// The hub is up. Called once, inside the Tokio runtime; it must not block.
    /// From now on, hand what other nodes send to `node`: every node is to get
    /// [`Channel::All`], group changes, and answers to its own name; the other
    /// channels as [`subscribe`](Self::subscribe) says.
    fn start(&self, node: BackplaneNode);

    /// Sends an invocation to the other nodes that want the channel. Gives how
    /// many of them it reached, where the carrier knows: an answer that is
    /// awaited of nobody fails at once then.
    ///
    /// Up to 256 are under way at the same time; they are begun (polled first)
    /// in the order in which the hub sent them, and should leave in that order.
    fn publish(
        &self,
        channel: &Channel,
        invocation: &RemoteInvocation,
    ) -> impl Future<Output = Result<Option<usize>, BackplaneError>> + Send;

    /// The channels that this node wants have changed. It ends when messages
    /// sent from then on will arrive: a client's `on_connected` and a method
    /// that joins a group wait for that. One call at a time, in order; a change
    /// may repeat what is so already. After an error the hub tries again.
    ///
    /// Whoever rebuilds a lost connection subscribes to
    /// [`BackplaneNode::channels`] by itself.
    fn subscribe(
        &self,
        changes: &[SubscriptionChange],
    ) -> impl Future<Output = Result<(), BackplaneError>> + Send;

    /// Asks the node that has the connection to change a group's members, and
    /// waits until it says that it has. Given up after
    /// [`remote_group_timeout`](crate::HubOptions::remote_group_timeout).
    fn change_group(
        &self,
        change: GroupChange,
        group: &str,
        id: ConnectionId,
    ) -> impl Future<Output = Result<(), BackplaneError>> + Send;

    /// Sends a client's answer to the node that asked: `return_to` is what
    /// came with its invocation.
    fn complete(
        &self,
        return_to: &str,
        completion: &RemoteCompletion,
    ) -> impl Future<Output = Result<(), BackplaneError>> + Send;
}

/// Shared with whoever else has to do with the carrier.
impl<B: Backplane> Backplane for Arc<B> {
    fn start(&self, node: BackplaneNode) {
        (**self).start(node);
    }

    fn publish(
        &self,
        channel: &Channel,
        invocation: &RemoteInvocation,
    ) -> impl Future<Output = Result<Option<usize>, BackplaneError>> + Send {
        (**self).publish(channel, invocation)
    }

    fn subscribe(
        &self,
        changes: &[SubscriptionChange],
    ) -> impl Future<Output = Result<(), BackplaneError>> + Send {
        (**self).subscribe(changes)
    }

    fn change_group(
        &self,
        change: GroupChange,
        group: &str,
        id: ConnectionId,
    ) -> impl Future<Output = Result<(), BackplaneError>> + Send {
        (**self).change_group(change, group, id)
    }

    fn complete(
        &self,
        return_to: &str,
        completion: &RemoteCompletion,
    ) -> impl Future<Output = Result<(), BackplaneError>> + Send {
        (**self).complete(return_to, completion)
    }
}

/// Where an invocation goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Every client.
    All,
    /// One connection.
    Connection(ConnectionId),
    /// The members of a group.
    Group(Arc<str>),
    /// The connections of a user.
    User(Arc<str>),
}

/// As ASP.NET Core's Redis channels are called behind their prefix:
/// `all`, `connection:..`, `group:..`, `user:..`.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Connection(id) => write!(f, "connection:{id}"),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::User(user) => write!(f, "user:{user}"),
        }
    }
}

/// An invocation on its way between nodes.
#[derive(Debug, Clone)]
pub struct RemoteInvocation {
    /// The [name](BackplaneNode::name) of the node that sends it; `None` where
    /// the sender is of another kind and does not say.
    pub origin: Option<Arc<str>>,
    /// Connections that do not get it. [`Channel::All`] and
    /// [`Channel::Group`] only.
    pub excluded: Vec<ConnectionId>,
    /// The message with its framing, once for each protocol.
    pub frames: Vec<(HubProtocol, Bytes)>,
    /// The answer that is wanted. [`Channel::Connection`] only.
    pub result: Option<WantedResult>,
}

/// That an answer of the client is awaited, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedResult {
    /// The invocation's id, as it stands in the frames.
    pub invocation_id: Box<str>,
    /// Where the answer goes: the node's name in what this hub publishes. What
    /// a backplane reads from its wire comes back as it is in
    /// [`Backplane::complete`].
    pub return_to: Arc<str>,
}

/// A client's answer on its way to the node that asked.
#[derive(Debug, Clone)]
pub struct RemoteCompletion {
    /// The protocol of `frame`.
    pub protocol: HubProtocol,
    /// The Completion with its framing.
    pub frame: Bytes,
}

/// That this node now wants a channel, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// A connection, group or user.
    pub channel: Channel,
    /// Whether there is a client for it here.
    pub wanted: bool,
}

/// A change of a group's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupChange {
    /// The connection joins.
    Add,
    /// The connection leaves.
    Remove,
}

/// Why something did not reach the other nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackplaneError {
    /// The carrier cannot be reached, or refused. The text goes to the log: no
    /// secrets.
    #[error("the backplane is not available: {0}")]
    Unavailable(String),
    /// Nothing came of it in time.
    #[error("the backplane did not answer in time")]
    TimedOut,
    /// Too much waits for it already.
    #[error("too much waits for the backplane")]
    Overloaded,
}
