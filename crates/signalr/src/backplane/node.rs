//! What other nodes send: handed to the clients of this one.

use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::{Channel, GroupChange, RemoteCompletion, RemoteInvocation};
use crate::{
    ConnectionId,
    connection::Connection,
    outbox::Frame,
    protocol::{HubMessage, HubProtocol, Parsed},
    server::Core,
};

/// ASP.NET Core's words.
const NO_FRAME: &str = "This message was received from another server that did not have the \
                        requested protocol available.";

/// A hub on this node, as its backplane sees it. It does not keep the hub
/// alive: once the hub is gone, everything here does nothing.
#[derive(Debug, Clone)]
pub struct BackplaneNode {
    core: Weak<Core>,
    name: Arc<str>,
}

impl BackplaneNode {
    pub(crate) fn new(core: &Arc<Core>, name: Arc<str>) -> Self {
        Self {
            core: Arc::downgrade(core),
            name,
        }
    }

    /// This node's name, which no other node has: 32 hexadecimal digits, new
    /// with each start of the hub.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The channels that have a client here now, without [`Channel::All`]: what
    /// a rebuilt connection has to subscribe to. Ask once changes go to the new
    /// connection; none is missed then, and one that is in both does no harm.
    /// The hub takes it as a sign that there is one: changes that failed are
    /// tried again at once.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        let Some(core) = self.core.upgrade() else {
            return Vec::new();
        };
        if let Some(relay) = &core.relay {
            relay.subscriptions.rebuilt();
        }
        core.registry.channels()
    }

    /// Whether a channel has a client here.
    #[must_use]
    pub fn wants(&self, channel: &Channel) -> bool {
        let core = self.core.upgrade();
        core.is_some_and(|core| core.registry.wants(channel))
    }

    /// Hands an invocation of another node to the clients here, without
    /// waiting; gives their number. What this node sent itself is dropped.
    pub fn deliver(&self, channel: &Channel, invocation: &RemoteInvocation) -> usize {
        let Some(core) = self.core.upgrade() else {
            return 0;
        };
        if invocation.origin.as_deref() == Some(&*self.name) {
            return 0;
        }
        let mut incoming = Incoming {
            core: &core,
            invocation,
            frames: [Wrapped::Not, Wrapped::Not],
            delivered: 0,
        };
        match channel {
            Channel::All => core.registry.for_all(|each| incoming.send(each)),
            Channel::Group(group) => core.registry.for_group(group, |each| incoming.send(each)),
            Channel::User(user) => core.registry.for_user(user, |each| incoming.send(each)),
            Channel::Connection(id) => match core.registry.by_id(*id) {
                Some(connection) => incoming.send(&connection),
                None => incoming.unknown(*id),
            },
        }
        let delivered = incoming.delivered;
        if let Some(relay) = core.relay.as_ref().filter(|_| delivered > 0) {
            relay.received();
        }
        delivered
    }

    /// Changes a group's members; `None` where the connection is not here. The
    /// change is made at once. The future ends when the change can be
    /// acknowledged: for one that joins, when messages of other nodes for the
    /// group arrive here, within
    /// [`backplane_timeout`](crate::HubOptions::backplane_timeout) and two
    /// seconds; it must not be awaited by what carries out
    /// [`Backplane::subscribe`](super::Backplane::subscribe).
    pub fn change_group(
        &self,
        change: GroupChange,
        group: &str,
        id: ConnectionId,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let core = self.core.upgrade()?;
        core.registry.by_id(id)?;
        match change {
            GroupChange::Add => core.registry.join(group, id),
            GroupChange::Remove => core.registry.leave(group, id),
        }
        Some(async move {
            if let Some(relay) = core.relay.as_ref().filter(|_| change == GroupChange::Add) {
                relay.settled().await;
            }
        })
    }

    /// A question of this node came back to it alone, as it was still subscribed
    /// for a client that has just left: whoever awaits the answer here is told.
    pub fn nobody_answers(&self, id: ConnectionId, invocation_id: &str) {
        if let Some(core) = self.core.upgrade() {
            core.client_results.fail_remote(invocation_id, id);
        }
    }

    /// Hands the answer of another node's client to whoever awaits it here.
    pub fn complete(&self, completion: &RemoteCompletion) {
        let Some(core) = self.core.upgrade() else {
            return;
        };
        match completion.protocol.parse(&completion.frame) {
            Ok(Parsed::Message {
                message: HubMessage::Completion(answer),
                ..
            }) => core
                .client_results
                .complete_remote(&answer.invocation_id, &answer.outcome),
            _ => tracing::warn!("another node sent an answer that is none"),
        }
    }
}

/// An invocation of another node on its way to its receivers.
struct Incoming<'a> {
    core: &'a Core,
    invocation: &'a RemoteInvocation,
    frames: [Wrapped; 2],
    delivered: usize,
}

/// A frame of the invocation, wrapped once however many clients get it.
enum Wrapped {
    Not,
    Ready(Frame),
    /// There is none for that protocol, or it is no invocation.
    Missing,
}

impl Incoming<'_> {
    fn send(&mut self, connection: &Arc<Connection>) {
        let id = connection.id();
        if self.invocation.excluded.contains(&id) {
            return;
        }
        let Some(protocol) = connection.protocol() else {
            return;
        };
        let Some(frame) = self.frame(protocol) else {
            self.answer(protocol, NO_FRAME);
            return;
        };
        if let Some(wanted) = &self.invocation.result {
            let results = &self.core.client_results;
            if let Err(problem) = results.expect_elsewhere(id, protocol, wanted) {
                self.answer(protocol, problem);
                return;
            }
            if connection.send(frame, 0).is_ok() {
                self.delivered += 1;
            } else if results.forget_elsewhere(&wanted.invocation_id, id) {
                self.answer(protocol, "Connection disconnected.");
            }
            return;
        }
        self.delivered += usize::from(connection.send(frame, 0).is_ok());
    }

    fn frame(&mut self, protocol: HubProtocol) -> Option<Frame> {
        let place = &mut self.frames[protocol.index()];
        if let Wrapped::Not = place {
            let given = self.invocation.frames.iter();
            let mut given = given.filter(|(each, _)| *each == protocol);
            *place = match given.next().and_then(|(_, bytes)| wrap(protocol, bytes)) {
                Some(frame) => Wrapped::Ready(frame),
                None => {
                    tracing::error!(protocol = protocol.name(), "{NO_FRAME}");
                    Wrapped::Missing
                }
            };
        }
        match place {
            Wrapped::Ready(frame) => Some(frame.clone()),
            Wrapped::Not | Wrapped::Missing => None,
        }
    }

    /// Whoever sent it was told that the connection is here; it just left.
    fn unknown(&self, id: ConnectionId) {
        self.answer(
            HubProtocol::Json,
            &format!("Connection '{id}' does not exist."),
        );
    }

    fn answer(&self, protocol: HubProtocol, error: &str) {
        if let (Some(wanted), Some(relay)) = (&self.invocation.result, &self.core.relay) {
            let mut frame = Vec::new();
            protocol.write_end(&mut frame, &wanted.invocation_id, Some(error));
            relay.complete(Arc::clone(&wanted.return_to), protocol, frame.into());
        }
    }
}

/// One whole Invocation, and nothing else: whatever is on the carrier must not
/// garble a client's stream.
fn wrap(protocol: HubProtocol, bytes: &Bytes) -> Option<Frame> {
    match protocol.parse(bytes) {
        Ok(Parsed::Message {
            message: HubMessage::Invocation(_),
            consumed,
        }) if consumed == bytes.len() => Frame::message(protocol, |out| {
            out.extend_from_slice(bytes);
            Ok(())
        })
        .ok(),
        _ => None,
    }
}
