//! The connections of one hub on this node: by token, by id, by user, by group.

use std::{collections::HashMap, sync::Arc};

use dashmap::DashMap;

use crate::{
    Channel, ConnectionId, backplane::Subscriptions, connection::Connection,
    connection_token::ConnectionToken,
};

type Members = HashMap<ConnectionId, Arc<Connection>>;

/// Who is connected. An entry goes with its connection: `remove` is the only
/// way out for connections, users and group members alike. Each first and
/// last client of a channel is noted for the backplane, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// From negotiate (or the direct WebSocket) to the end.
    by_token: DashMap<ConnectionToken, Arc<Connection>>,
    /// From the handshake to the end.
    by_id: DashMap<ConnectionId, Arc<Connection>>,
    users: DashMap<Arc<str>, Vec<Arc<Connection>>>,
    groups: DashMap<Arc<str>, Members>,
    /// Connections that are over and whose hub is being told. Kept only with a
    /// backplane, which would be asked for them otherwise.
    leaving: DashMap<ConnectionId, ()>,
    subscriptions: Option<Arc<Subscriptions>>,
}

impl Registry {
    pub(crate) fn new(subscriptions: Option<Arc<Subscriptions>>) -> Self {
        Self {
            subscriptions,
            ..Self::default()
        }
    }

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
        self.changed(|| Channel::Connection(connection.id()));
        if let Some(user) = connection.user_id() {
            let first = {
                let mut connections = self.users.entry(Arc::clone(user)).or_default();
                connections.push(Arc::clone(connection));
                connections.len() == 1
            };
            if first {
                self.changed(|| Channel::User(Arc::clone(user)));
            }
        }
    }

    /// The connection is over. Its token stays until [`forget`](Self::forget):
    /// a long-polling client fetches the end with one more poll.
    pub(crate) fn remove(&self, connection: &Arc<Connection>) {
        let id = connection.id();
        if self.subscriptions.is_some() {
            self.leaving.insert(id, ());
        }
        let removed = self
            .by_id
            .remove_if(&id, |_, each| Arc::ptr_eq(each, connection));
        if removed.is_some() {
            self.changed(|| Channel::Connection(id));
        }
        if let Some(user) = connection.user_id() {
            let last = self.users.remove_if_mut(user, |_, connections| {
                connections.retain(|each| !Arc::ptr_eq(each, connection));
                connections.is_empty()
            });
            if last.is_some() {
                self.changed(|| Channel::User(Arc::clone(user)));
            }
        }
        let groups = std::mem::take(&mut *connection.groups());
        for group in groups {
            self.drop_member(&group, id);
        }
    }

    /// The hub was told of the connection's end.
    pub(crate) fn left(&self, id: ConnectionId) {
        self.leaving.remove(&id);
    }

    /// Whether the connection may be at another node: it is not here, and has
    /// not just been.
    pub(crate) fn may_be_elsewhere(&self, id: ConnectionId) -> bool {
        self.subscriptions.is_some()
            && !self.by_id.contains_key(&id)
            && !self.leaving.contains_key(&id)
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
        let first = {
            let mut members = self.groups.entry(Arc::clone(&name)).or_default();
            members.insert(id, Arc::clone(&connection));
            members.len() == 1
        };
        if first {
            self.changed(|| Channel::Group(name));
        }
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
        let last = self.groups.remove_if_mut(group, |_, members| {
            members.remove(&id);
            members.is_empty()
        });
        if last.is_some() {
            self.changed(|| Channel::Group(group.into()));
        }
    }

    /// The channel has got its first client or lost its last.
    fn changed(&self, channel: impl FnOnce() -> Channel) {
        if let Some(subscriptions) = &self.subscriptions {
            subscriptions.mark(channel());
        }
    }

    /// Whether the channel has a client here.
    pub(crate) fn wants(&self, channel: &Channel) -> bool {
        match channel {
            Channel::All => true,
            Channel::Connection(id) => self.by_id.contains_key(id),
            Channel::Group(group) => self.groups.contains_key(&**group),
            Channel::User(user) => self.users.contains_key(&**user),
        }
    }

    /// Every channel that has a client here, but that of all.
    pub(crate) fn channels(&self) -> Vec<Channel> {
        let ids = self
            .by_id
            .iter()
            .map(|each| Channel::Connection(*each.key()));
        let groups = self.groups.iter();
        let groups = groups.map(|each| Channel::Group(Arc::clone(each.key())));
        let users = self.users.iter();
        let users = users.map(|each| Channel::User(Arc::clone(each.key())));
        ids.chain(groups).chain(users).collect()
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
