//! One invocation on its way to many.

use bytes::Bytes;

use crate::{
    Event,
    outbox::Frame,
    protocol::{Arguments, HubProtocol, WriteError},
};

/// One invocation for any number of receivers, written once for each protocol
/// that one of them speaks. With [`Context::send`](crate::Context::send), for
/// connections that are at hand.
///
/// ```
/// use signalr::{HubContext, Message, protocol::WriteError};
///
/// /// Each connection tells by `Hub::on_receipt` when it has the order.
/// fn shipped(hub: &HubContext, user_id: &str, order: u64) -> Result<usize, WriteError> {
///     let arguments = (order,);
///     let mut message = Message::new("Shipped", &arguments);
///     let mut sent = 0;
///     for connection in hub.connections_of(user_id) {
///         sent += usize::from(connection.send(&mut message, order)?);
///     }
///     Ok(sent)
/// }
/// ```
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

    /// A typed event.
    #[must_use]
    pub fn event(event: &'a A) -> Self
    where
        A: Event,
    {
        Self::new(A::NAME, event)
    }

    pub(super) fn expecting_answer(
        target: &'a str,
        arguments: &'a A,
        invocation_id: &'a str,
    ) -> Self {
        Self {
            target,
            arguments,
            invocation_id: Some(invocation_id),
            frames: [None, None],
        }
    }

    pub(super) fn frame(&mut self, protocol: HubProtocol) -> Result<Frame, WriteError> {
        let place = &mut self.frames[protocol.index()];
        if let Some(frame) = place {
            return Ok(frame.clone());
        }
        let frame = Frame::message(protocol, |out| {
            protocol.write_invocation(out, self.invocation_id, self.target, self.arguments, &[])
        })?;
        let frame = frame.marked_event(self.invocation_id.is_none());
        Ok(place.insert(frame).clone())
    }

    /// The message in every protocol that it can be written in: which of them
    /// other nodes need is not known here.
    pub(super) fn for_other_nodes(&mut self) -> Vec<(HubProtocol, Bytes)> {
        let written = HubProtocol::ALL.into_iter().filter_map(|protocol| {
            let frame = self.frame(protocol);
            if let Err(error) = &frame {
                let protocol = protocol.name();
                tracing::error!(hub.event = self.target, protocol, %error, "a message cannot be written for clients of other nodes");
            }
            Some((protocol, frame.ok()?.payload_bytes()))
        });
        written.collect()
    }
}
