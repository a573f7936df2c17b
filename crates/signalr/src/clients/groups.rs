//! Who is in which group.

use std::{fmt, sync::Arc};

use crate::{BackplaneError, ConnectionId, GroupChange, server::Core};

/// Extracts the groups of the hub.
///
/// ```
/// use signalr::{Context, Groups};
///
/// async fn join(context: Context, groups: Groups, room: String) {
///     groups.add(context.connection_id(), &room).await;
/// }
/// # struct Chat;
/// # impl signalr::Hub for Chat {}
/// # signalr::HubServer::builder(Chat).method("Join", join);
/// ```
#[derive(Clone)]
pub struct Groups {
    core: Arc<Core>,
}

impl Groups {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Adds a connection to a group. One that does not exist is ignored; with
    /// a backplane, that takes
    /// [`remote_group_timeout`](crate::HubOptions::remote_group_timeout) to
    /// find out, and is logged.
    pub async fn add(&self, id: ConnectionId, group: &str) {
        note(self.try_add(id, group).await);
    }

    /// Takes a connection out of a group, under the same terms.
    pub async fn remove(&self, id: ConnectionId, group: &str) {
        note(self.try_remove(id, group).await);
    }

    /// [`add`](Self::add), for those who have to know. A connection of this
    /// node is in the group when the call ends, whatever the backplane does.
    ///
    /// # Errors
    /// When the connection is not here and no other node says that it added it.
    pub async fn try_add(&self, id: ConnectionId, group: &str) -> Result<(), BackplaneError> {
        self.change(GroupChange::Add, id, group).await
    }

    /// [`remove`](Self::remove), for those who have to know.
    ///
    /// # Errors
    /// When the connection is not here and no other node says that it took it out.
    pub async fn try_remove(&self, id: ConnectionId, group: &str) -> Result<(), BackplaneError> {
        self.change(GroupChange::Remove, id, group).await
    }

    async fn change(
        &self,
        change: GroupChange,
        id: ConnectionId,
        group: &str,
    ) -> Result<(), BackplaneError> {
        let registry = &self.core.registry;
        match change {
            GroupChange::Add => registry.join(group, id),
            GroupChange::Remove => registry.leave(group, id),
        }
        let Some(relay) = &self.core.relay else {
            return Ok(());
        };
        if registry.may_be_elsewhere(id) {
            return relay.change_group(change, group, id).await;
        }
        if change == GroupChange::Add {
            // What other nodes send to the group from now on arrives.
            relay.settled().await;
        }
        Ok(())
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}

fn note(changed: Result<(), BackplaneError>) {
    if let Err(error) = changed {
        tracing::warn!(%error, "the group of a connection that is not here was not changed");
    }
}
