//! What other servers publish: read, and handed to this node's hub.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use signalr::{
    Channel, ConnectionId, GroupChange, RemoteCompletion, RemoteInvocation, WantedResult,
    protocol::HubProtocol,
};

use super::{Inner, Node, channels::Carries};
use crate::{
    Listener,
    wire::{Ack, Completion, GroupAction, GroupCommand, Invocation, WireError},
};

impl Listener for Inner {
    fn channels(&self) -> Vec<String> {
        let Some(node) = self.node.get() else {
            return Vec::new();
        };
        let names = &self.channels;
        let mut channels = vec![
            names.returns(&node.server),
            names.acks(&node.server),
            names.of(&Channel::All),
            names.groups(),
        ];
        let wanted = node.hub.channels();
        channels.extend(wanted.iter().map(|channel| names.of(channel)));
        channels
    }

    fn message(&self, channel: &str, payload: Bytes) -> bool {
        let Some(carries) = self.channels.read(channel) else {
            return false;
        };
        let Some(node) = self.node.get() else {
            return true;
        };
        let handled = match carries {
            Carries::Invocations(channel) => self.deliver(node, &channel, &payload),
            Carries::Groups => self.change_group(node, &payload),
            Carries::Acks(server) if server == node.server => {
                Ack::read(&payload).map(|ack| self.acks.acknowledge(ack.id))
            }
            Carries::Answers(server) if server == node.server => complete(node, &payload),
            Carries::Acks(_) | Carries::Answers(_) => Ok(()),
        };
        if let Err(error) = handled {
            self.note_unreadable(&error);
        }
        true
    }

    fn subscribed(&self) {
        self.listens.store(true, Ordering::Release);
    }
}

fn complete(node: &Node, payload: &Bytes) -> Result<(), WireError> {
    let read = Completion::read(payload)?;
    let protocol = HubProtocol::from_name(read.protocol);
    node.hub.complete(&RemoteCompletion {
        protocol: protocol.ok_or(WireError::Expected("a protocol that is known"))?,
        frame: read.frame,
    });
    Ok(())
}

impl Inner {
    fn deliver(&self, node: &Node, channel: &Channel, payload: &Bytes) -> Result<(), WireError> {
        let read = Invocation::read(payload)?;
        if read.origin == Some(&**node.hub.name()) {
            // This node was the one that listened: its client has just left.
            if let (Some(answer), Channel::Connection(id)) = (&read.answer, channel)
                && !node.hub.wants(channel)
            {
                node.hub.nobody_answers(*id, answer.invocation_id);
            }
            return Ok(());
        }
        // Whoever writes to the channel must not choose any other for the answer.
        if let Some(answer) = &read.answer
            && !self.channels.is_for_answers(answer.return_channel)
        {
            return Err(WireError::Expected("a channel of this hub for the answer"));
        }
        let invocation = RemoteInvocation {
            origin: read.origin.map(Into::into),
            // An id of another shape is of no connection here.
            excluded: read
                .excluded
                .iter()
                .filter_map(|id| ConnectionId::parse(id))
                .collect(),
            frames: read
                .frames
                .into_iter()
                .filter_map(|(protocol, frame)| Some((HubProtocol::from_name(protocol)?, frame)))
                .collect(),
            result: read.answer.map(|answer| WantedResult {
                invocation_id: answer.invocation_id.into(),
                return_to: answer.return_channel.into(),
            }),
        };
        node.hub.deliver(channel, &invocation);
        Ok(())
    }

    fn change_group(&self, node: &Node, payload: &Bytes) -> Result<(), WireError> {
        let command = GroupCommand::read(payload)?;
        let Some(id) = ConnectionId::parse(command.connection_id) else {
            return Ok(());
        };
        // This node has asked for itself before it asked the others.
        if command.server == node.server {
            return Ok(());
        }
        let change = match command.action {
            GroupAction::Add => GroupChange::Add,
            GroupAction::Remove => GroupChange::Remove,
        };
        let Some(changed) = node.hub.change_group(change, command.group, id) else {
            return Ok(());
        };
        let Ok(permit) = Arc::clone(&self.changing).try_acquire_owned() else {
            tracing::warn!("too many group changes at once; one is not acknowledged");
            return Ok(());
        };
        let (link, channel) = (self.link.clone(), self.channels.acks(command.server));
        let payload = Ack { id: command.id }.to_bytes();
        tokio::spawn(async move {
            // Both end within a bounded time.
            changed.await;
            if let Err(error) = link.publish(&channel, &payload).await {
                tracing::debug!(%error, "a group change could not be acknowledged");
            }
            drop(permit);
        });
        Ok(())
    }

    fn note_unreadable(&self, error: &WireError) {
        let count = self.unreadable.fetch_add(1, Ordering::Relaxed) + 1;
        // The first, and then now and then: whoever sends one sends many.
        if count.is_power_of_two() {
            tracing::warn!(%error, count, "another server's message cannot be read");
        }
    }
}
