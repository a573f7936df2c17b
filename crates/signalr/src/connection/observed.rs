//! What the hub's observer is told of a connection.

use std::time::Duration;

use super::Connection;
use crate::{ConnectionEnd, HubObserver, TransportKind, close::CloseReason};

impl Connection {
    fn observer(&self) -> Option<(&dyn HubObserver, TransportKind)> {
        Some((self.core.observer.as_deref()?, self.transport()?))
    }

    pub(crate) fn tell_attached(&self) {
        if let Some((observer, transport)) = self.observer() {
            observer.attached(transport);
        }
    }

    pub(crate) fn tell_established(&self) {
        if let Some((observer, transport)) = self.observer()
            && let Some(protocol) = self.protocol()
        {
            observer.established(transport, protocol);
        }
    }

    pub(crate) fn tell_ended(&self, reason: &CloseReason, established: bool, lived: Duration) {
        if let Some((observer, transport)) = self.observer() {
            observer.ended(&ConnectionEnd {
                transport,
                protocol: self.protocol().filter(|_| established),
                reason: reason.name(),
                status: reason.status(),
                lived,
            });
        }
    }

    pub(crate) fn tell_received(&self, messages: usize, bytes: usize) {
        if messages > 0
            && let Some((observer, transport)) = self.observer()
        {
            observer.received(transport, messages, bytes);
        }
    }

    /// Bytes may be those of a message of which more is still to be written.
    pub(crate) fn tell_sent(&self, messages: usize, bytes: usize) {
        if bytes > 0
            && let Some((observer, transport)) = self.observer()
        {
            observer.sent(transport, messages, bytes);
        }
    }
}
