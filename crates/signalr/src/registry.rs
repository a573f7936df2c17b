//! The connections of one hub on this node: by token, by id, by user, by group.

use std::{collections::HashMap, sync::Arc};

use dashmap::DashMap;

use crate::{ConnectionId, connection::Connection, connection_token::ConnectionToken};

type Members = HashMap<ConnectionId, Arc<Connection>>;

/// Who is connected. An entry goes with its connection: `remove` is the only
/// way out for connections, users and group members alike.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// From negotiate (or the direct WebSocket) to the end.
    by_token: DashMap<ConnectionToken, Arc<Connection>>,
    /// From the handshake to the end.
    by_id: DashMap<ConnectionId, Arc<Connection>>,
    users: DashMap<Arc<str>, Vec<Arc<Connection>>>,
    groups: DashMap<Arc<str>, Members>,
}

impl Registry {
    /// Enters a new connection; gives the one that has the token, which is an
    /// earlier one when two requests brought the same token of another node.
    pub(crate) fn announce(&self, connection: Arc<Connection>) -> Arc<Connection> {
        let entry = self.by_token.entry(connection.token());
        Arc::clone(&entry.or_insert(connection))
    }

    pub(crate) fn by_token(&self, token: ConnectionToken) -> Option<Arc<Connection>> {
        self.by_token.get(&token).map(|entry| Arc::clone(&entry))
    }

    /// The handshake is done: the connection can be sent to.
    pub(crate) fn insert(&self, connection: &Arc<Connection>) {
        self.by_id.insert(connection.id(), Arc::clone(connection));
        if let Some(user) = connection.user_id() {
            self.users
                .entry(Arc::clone(user))
                .or_default()
                .push(Arc::clone(connection));
        }
    }

    /// The connection is over. Its token stays until [`forget`](Self::forget):
    /// a long-polling client fetches the end with one more poll.
    pub(crate) fn remove(&self, connection: &Arc<Connection>) {
        self.by_id
            .remove_if(&connection.id(), |_, each| Arc::ptr_eq(each, connection));
        if let Some(user) = connection.user_id() {
            self.users.remove_if_mut(user, |_, connections| {
                connections.retain(|each| !Arc::ptr_eq(each, connection));
                connections.is_empty()
            });
        }
        let groups = std::mem::take(&mut *connection.groups());
        for group in groups {
            self.drop_member(&group, connection.id());
        }
    }

    pub(crate) fn forget(&self, connection: &Connection) {
        self.by_token.remove(&connection.token());
    }

    /// Adds a connection to a group; an unknown one is ignored.
    pub(crate) fn join(&self, group: &str, id: ConnectionId) {
        let Some(connection) = self.by_id(id) else {
            return;
        };
        let name: Arc<str> = group.into();
        {
            let mut groups = connection.groups();
            if groups.iter().any(|each| **each == *group) {
                return;
            }
            groups.push(Arc::clone(&name));
        }
        self.groups
            .entry(name)
            .or_default()
            .insert(id, Arc::clone(&connection));
        // The connection may have ended in between: nothing else takes it out then.
        let lives = self
            .by_id(id)
            .is_some_and(|each| Arc::ptr_eq(&each, &connection));
        if !lives || !connection.groups().iter().any(|each| **each == *group) {
            self.drop_member(group, id);
        }
    }

    /// Takes a connection out of a group.
    pub(crate) fn leave(&self, group: &str, id: ConnectionId) {
        if let Some(connection) = self.by_id(id) {
            connection.groups().retain(|each| **each != *group);
        }
        self.drop_member(group, id);
    }

    fn drop_member(&self, group: &str, id: ConnectionId) {
        self.groups.remove_if_mut(group, |_, members| {
            members.remove(&id);
            members.is_empty()
        });
    }

    pub(crate) fn by_id(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        self.by_id.get(&id).map(|entry| Arc::clone(&entry))
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn for_all(&self, mut each: impl FnMut(&Arc<Connection>)) {
        for entry in &self.by_id {
            each(entry.value());
        }
    }

    /// Every connection from negotiate on, for the heartbeat.
    pub(crate) fn for_announced(&self, mut each: impl FnMut(&Arc<Connection>)) {
        for entry in &self.by_token {
            each(entry.value());
        }
    }

    pub(crate) fn for_user(&self, user: &str, mut each: impl FnMut(&Arc<Connection>)) {
        if let Some(connections) = self.users.get(user) {
            connections.iter().for_each(&mut each);
        }
    }

    pub(crate) fn for_group(&self, group: &str, mut each: impl FnMut(&Arc<Connection>)) {
        if let Some(members) = self.groups.get(group) {
            members.values().for_each(&mut each);
        }
    }
}
