//! Sending to any number of clients.

use std::{collections::HashSet, hash::Hash, sync::Arc};

use super::{HubContext, Message};
use crate::{
    Channel, ConnectionId, Event,
    backplane::Relay,
    connection::Connection,
    protocol::{Arguments, WriteError},
};

/// Whom a message goes to.
#[derive(Debug, Clone)]
pub(super) enum Target {
    All,
    AllExcept(Vec<ConnectionId>),
    Connections(Vec<ConnectionId>),
    Groups(Vec<Arc<str>>),
    GroupExcept(Arc<str>, Vec<ConnectionId>),
    Users(Vec<Arc<str>>),
}

/// Some clients of a hub, to be sent to.
///
/// ```
/// use signalr::HubContext;
///
/// async fn shipped(hub: &HubContext, user_id: &str, order: u64) {
///     hub.user(user_id).send("Shipped", (order,)).await;
///     hub.group("warehouse").send("Shipped", (order, user_id)).await;
/// }
/// ```
#[derive(Debug, Clone)]
pub struct ClientProxy {
    hub: HubContext,
    target: Target,
}

impl ClientProxy {
    pub(super) fn new(hub: HubContext, target: Target) -> Self {
        Self { hub, target }
    }

    /// Sends an invocation that wants no answer. Gives the number of
    /// connections on this node that it was handed to; a client that is gone
    /// is no error. With a backplane it is also handed to that, for the clients
    /// of other nodes; nothing waits for it, and what it fails at is logged and
    /// counted.
    ///
    /// # Errors
    /// When the arguments cannot be written in the protocol of a receiver.
    pub async fn try_send<A: Arguments>(
        &self,
        target: &str,
        arguments: A,
    ) -> Result<usize, WriteError> {
        let mut message = Message::new(target, &arguments);
        let sent = self.send_here(&mut message);
        if let Some(relay) = &self.hub.core.relay {
            self.send_elsewhere(relay, &mut message);
        }
        sent
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

    /// Sends a typed event, as [`send`](Self::send) does.
    pub async fn emit<E: Event>(&self, event: E) -> usize {
        self.send(E::NAME, event).await
    }

    /// Hands an invocation to the clients of other nodes alone, for whoever
    /// serves those of this node by [`Context::send`](crate::Context::send).
    /// Without a backplane there are none. Nothing waits for it.
    pub fn send_to_other_nodes<A: Arguments + ?Sized>(&self, message: &mut Message<'_, A>) {
        if let Some(relay) = &self.hub.core.relay {
            self.send_elsewhere(relay, message);
        }
    }

    fn send_here<A: Arguments>(&self, message: &mut Message<'_, A>) -> Result<usize, WriteError> {
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
                for id in each_once(ids) {
                    if let Some(connection) = registry.by_id(*id) {
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
                for user in each_once(users) {
                    registry.for_user(user, &mut deliver);
                }
            }
        }
        failure.map_or(Ok(sent), Err)
    }

    /// One publish a channel, as ASP.NET Core does.
    fn send_elsewhere<A: Arguments + ?Sized>(&self, relay: &Relay, message: &mut Message<'_, A>) {
        let mut excluded: &[ConnectionId] = &[];
        let channels: Vec<Channel> = match &self.target {
            Target::All => vec![Channel::All],
            Target::AllExcept(ids) => {
                excluded = ids;
                vec![Channel::All]
            }
            Target::Connections(ids) => {
                let registry = &self.hub.core.registry;
                let ids = each_once(ids).filter(|id| registry.may_be_elsewhere(**id));
                ids.map(|id| Channel::Connection(*id)).collect()
            }
            Target::Groups(groups) => {
                let groups = groups.iter().map(Arc::clone);
                groups.map(Channel::Group).collect()
            }
            Target::GroupExcept(group, ids) => {
                excluded = ids;
                vec![Channel::Group(Arc::clone(group))]
            }
            Target::Users(users) => {
                let users = each_once(users).map(Arc::clone);
                users.map(Channel::User).collect()
            }
        };
        if channels.is_empty() {
            return;
        }
        let frames = message.for_other_nodes();
        if !frames.is_empty() {
            relay.publish(channels, excluded.to_vec(), frames);
        }
    }
}

/// The first of each that is doubled.
fn each_once<T: Eq + Hash>(all: &[T]) -> impl Iterator<Item = &T> {
    /// So few are sooner looked through than hashed.
    const FEW: usize = 32;
    let mut seen = (all.len() > FEW).then(|| HashSet::with_capacity(all.len()));
    let each = all.iter().enumerate();
    each.filter(move |(at, one)| match &mut seen {
        Some(seen) => seen.insert(*one),
        None => !all[..*at].contains(one),
    })
    .map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::each_once;

    #[test]
    fn each_comes_once_in_its_first_place_among_few_and_many() {
        for count in [3, 300] {
            let doubled: Vec<usize> = (0..count).chain((0..count).rev()).collect();
            assert!(each_once(&doubled).copied().eq(0..count));
        }
    }
}
