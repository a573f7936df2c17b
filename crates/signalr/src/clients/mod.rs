//! Sending to clients: all, some, one; groups; awaiting an answer.
//!
//! Clients of this node are handed their messages here and now. What may have
//! receivers on other nodes is then given to the backplane, and not waited for.

mod proxy;
mod single;
mod message;
mod groups;
mod at_hand;

use std::{fmt, ops::Deref, sync::Arc};

use crate::{ConnectionId, Context, server::Core};

pub use groups::Groups;
pub use message::Message;
pub use proxy::ClientProxy;
pub use single::{InvokeError, SingleClient};

use proxy::Target;

/// A hub as code outside of its methods sees it. Cheap to clone.
///
/// ```
/// use signalr::{ConnectionId, HubContext};
///
/// async fn announce(hub: HubContext, sender: ConnectionId) {
///     hub.all().send("Maintenance", ("tonight",)).await;
///     hub.user("ada").send("Reminder", ()).await;
///     hub.groups_of(&["garden", "kitchen"]).send("Open", (true,)).await;
///     hub.all_except(&[sender]).send("Announced", ()).await;
///     for connection in hub.connections_of("bob") {
///         connection.close(Some("Bob has moved.".into()), false);
///     }
/// }
/// ```
#[derive(Clone)]
pub struct HubContext {
    core: Arc<Core>,
}

/// Extracts the clients of the hub, the caller among them. It has all that
/// [`HubContext`] has besides.
///
/// ```
/// use signalr::Clients;
///
/// async fn typing(clients: Clients, room: String) {
///     clients.others_in_group(&room).send("Typing", ()).await;
///     clients.caller().send("Seen", ()).await;
/// }
/// # struct Chat;
/// # impl signalr::Hub for Chat {}
/// # signalr::HubServer::builder(Chat).method("Typing", typing);
/// ```
#[derive(Debug, Clone)]
pub struct Clients {
    hub: HubContext,
    caller: Context,
}

impl HubContext {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    fn proxy(&self, target: Target) -> ClientProxy {
        ClientProxy::new(self.clone(), target)
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
        SingleClient::new(self.clone(), id, None)
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
        Groups::new(Arc::clone(&self.core))
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
        self.client(self.caller.connection_id())
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
        SingleClient::new(self.hub.clone(), id, Some(self.caller.clone()))
    }
}

impl Deref for Clients {
    type Target = HubContext;

    fn deref(&self) -> &HubContext {
        &self.hub
    }
}
