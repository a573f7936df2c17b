//! [`RedisBackplane`]: several hubs of one name on one Redis act as one hub.
//!
//! Owns the translation between the hub and the wire, and the group commands
//! that wait to be acknowledged. It speaks ASP.NET Core's format, so a .NET
//! server whose hub has the same full name takes part.

mod channels;
mod acks;
mod incoming;

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use signalr::{
    Backplane, BackplaneError, BackplaneNode, Channel, ConnectionId, GroupChange, RemoteCompletion,
    RemoteInvocation, SubscriptionChange,
};
use tokio::sync::Semaphore;

use self::{acks::Acks, channels::Channels};
use crate::{
    LinkError, Listener, RedisLink,
    wire::{Answer, Completion, GroupAction, GroupCommand, Invocation},
};

/// Group changes of other nodes that are carried out at the same time; beyond
/// them they are not acknowledged.
const CHANGES_AT_ONCE: usize = 1024;

/// Carries a hub's messages over Redis; one for each hub, any number on one
/// [`RedisLink`].
///
/// ```
/// use signalr::{Hub, HubServer};
/// use signalr_redis::{RedisBackplane, RedisLink};
///
/// struct Chat;
/// impl Hub for Chat {}
///
/// # let runtime = tokio::runtime::Runtime::new().unwrap();
/// # let _guard = runtime.enter();
/// let link = RedisLink::open("redis://localhost".parse()?)?;
/// let chat = HubServer::builder(Chat)
///     .backplane(RedisBackplane::new(link, "Shop.Hubs.ChatHub"))
///     .build()?;
/// # drop(chat);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedisBackplane {
    inner: Arc<Inner>,
}

struct Inner {
    link: RedisLink,
    channels: Channels,
    acks: Acks,
    changing: Arc<Semaphore>,
    unreadable: AtomicU64,
    /// The first connection has this hub's channels; a later one has them
    /// before it is up.
    listens: AtomicBool,
    /// Set once the hub is up.
    node: OnceLock<Node>,
}

/// This node.
struct Node {
    hub: BackplaneNode,
    /// Its name as ASP.NET Core writes it: the machine's, and digits.
    server: String,
}

impl RedisBackplane {
    /// `hub` is the full name of the hub's class in .NET, e.g.
    /// `Shop.Hubs.ChatHub`, and the same on all nodes. What stands before it
    /// on every channel is the link's
    /// [`channel_prefix`](crate::RedisOptions::channel_prefix).
    #[must_use]
    pub fn new(link: RedisLink, hub: &str) -> Self {
        Self {
            inner: Arc::new(Inner {
                link,
                channels: Channels::of_hub(hub),
                acks: Acks::default(),
                changing: Arc::new(Semaphore::new(CHANGES_AT_ONCE)),
                unreadable: AtomicU64::new(0),
                listens: AtomicBool::new(false),
                node: OnceLock::new(),
            }),
        }
    }
}

impl Backplane for RedisBackplane {
    fn start(&self, node: BackplaneNode) {
        let server = format!("{}_{}", machine(), node.name());
        if self.inner.node.set(Node { hub: node, server }).is_ok() {
            let listener: Arc<dyn Listener> = self.inner.clone();
            self.inner.link.listen(&listener);
        }
    }

    async fn publish(
        &self,
        channel: &Channel,
        invocation: &RemoteInvocation,
    ) -> Result<Option<usize>, BackplaneError> {
        let inner = &*self.inner;
        let node = inner.node()?;
        let answer = invocation.result.as_ref();
        let return_channel = answer.map(|_| inner.channels.returns(&node.server));
        let excluded = invocation.excluded.iter().map(ConnectionId::as_str);
        let frames = invocation.frames.iter();
        let payload = Invocation {
            excluded: excluded.collect(),
            frames: frames
                .map(|(protocol, frame)| (protocol.name(), frame.clone()))
                .collect(),
            answer: answer
                .zip(return_channel.as_deref())
                .map(|(wanted, channel)| Answer {
                    invocation_id: &*wanted.invocation_id,
                    return_channel: channel,
                }),
            origin: invocation.origin.as_deref(),
        }
        .to_bytes();
        let name = inner.channels.of(channel);
        let heard = inner.link.publish(&name, &payload).await?;
        // This node hears it as well, where it has a client on that channel.
        let own = *channel == Channel::All || node.hub.wants(channel);
        Ok(Some(heard.saturating_sub(usize::from(own))))
    }

    async fn subscribe(&self, changes: &[SubscriptionChange]) -> Result<(), BackplaneError> {
        let inner = &*self.inner;
        let names = |wanted: bool| -> Vec<String> {
            let changes = changes.iter().filter(|change| change.wanted == wanted);
            changes
                .map(|change| inner.channels.of(&change.channel))
                .collect()
        };
        Ok(inner.link.subscribe(&names(true), &names(false)).await?)
    }

    async fn change_group(
        &self,
        change: GroupChange,
        group: &str,
        id: ConnectionId,
    ) -> Result<(), BackplaneError> {
        let inner = &*self.inner;
        let waiting = inner.acks.expect();
        let payload = GroupCommand {
            id: waiting.id(),
            server: inner.node()?.server.as_str(),
            action: match change {
                GroupChange::Add => GroupAction::Add,
                GroupChange::Remove => GroupAction::Remove,
            },
            group,
            connection_id: id.as_str(),
        }
        .to_bytes();
        // Then this node is one of those that hear it, and knows that the
        // connection is not here.
        let own = usize::from(inner.link.is_up() && inner.listens.load(Ordering::Acquire));
        let heard = inner
            .link
            .publish(&inner.channels.groups(), &payload)
            .await?;
        if heard <= own {
            return Err(BackplaneError::Unavailable(
                "no other node is there to have the connection".to_owned(),
            ));
        }
        waiting.acknowledged().await;
        Ok(())
    }

    async fn complete(
        &self,
        return_to: &str,
        completion: &RemoteCompletion,
    ) -> Result<(), BackplaneError> {
        let inner = &*self.inner;
        let payload = Completion {
            protocol: completion.protocol.name(),
            frame: completion.frame.clone(),
        }
        .to_bytes();
        inner.link.publish(return_to, &payload).await?;
        Ok(())
    }
}

impl Inner {
    fn node(&self) -> Result<&Node, BackplaneError> {
        let node = self.node.get();
        node.ok_or_else(|| BackplaneError::Unavailable("the hub is not up yet".to_owned()))
    }
}

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackplane")
            .field("link", &self.inner.link)
            .finish_non_exhaustive()
    }
}

impl From<LinkError> for BackplaneError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::TimedOut => Self::TimedOut,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// The machine's name, for people who look at the channels.
fn machine() -> String {
    let name = ["HOSTNAME", "COMPUTERNAME"]
        .into_iter()
        .find_map(|key| std::env::var(key).ok());
    let name = name.unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    match !name.is_empty() && name.len() <= 255 && name.chars().all(plain) {
        true => name,
        false => "signalr".to_owned(),
    }
}
