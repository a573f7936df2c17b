//! Sending to one connection that is at hand.

use std::{sync::atomic::Ordering, time::Duration};

use super::Message;
use crate::{
    Context, TransportKind,
    protocol::{Arguments, WriteError},
};

impl Context {
    /// Sends without waiting; [`Hub::on_receipt`](crate::Hub::on_receipt) is
    /// told with `tag` when the client has it. Tags should grow; 0 asks for no
    /// receipt. False when the client is gone, or closed as too slow.
    ///
    /// # Errors
    /// When the arguments cannot be written in the client's protocol.
    pub fn send<A: Arguments + ?Sized>(
        &self,
        message: &mut Message<'_, A>,
        tag: u64,
    ) -> Result<bool, WriteError> {
        let Some(protocol) = self.connection.protocol() else {
            return Ok(false);
        };
        let frame = message.frame(protocol)?;
        Ok(self.connection.send(frame, tag).is_ok())
    }

    /// Waits while the client has not taken what was sent before: for replays,
    /// which could otherwise fill a slow client's queue.
    pub async fn wait_for_space(&self) {
        self.connection.wait_for_space().await;
    }

    /// Bytes that wait to be written to the client: what may be lost can be
    /// left out while there are many.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.connection.outbox().waiting_bytes()
    }

    /// How long nothing has come from the client; zero while it waits in a
    /// poll, since such a client has nothing else to say.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        let times = &self.connection.times;
        let polls = self.connection.transport() == Some(TransportKind::LongPolling);
        if polls && times.detached_since.load(Ordering::Relaxed) == 0 {
            return Duration::ZERO;
        }
        self.connection.core().since(&times.last_heard)
    }

    /// Whether the connection is over or about to be.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.connection.is_closing() || self.connection.outbox().has_ended()
    }
}
