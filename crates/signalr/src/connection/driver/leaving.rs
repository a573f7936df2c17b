//! A client that is gone while hub code is still run for it.
//!
//! What it said before it left in good order is done, as ASP.NET Core reads
//! its pipe to the end: in its order, with every token tripped, and for a
//! bounded time.

use std::{pin::Pin, task::Context as TaskContext};

use tokio::time::Sleep;

use super::{Driver, Phase};
use crate::{ConnectionId, close::CloseReason, server::Core};

/// Why the connection ends once hub code is done.
pub(super) struct Leaving {
    reason: CloseReason,
    /// What has not begun when it is over is dropped.
    patience: Pin<Box<Sleep>>,
}

impl Driver {
    /// Whether what came before the end is done first.
    pub(super) fn does_more(&self, reason: &CloseReason) -> bool {
        match &self.phase {
            // It is run to its end, and `on_disconnected` follows it.
            Phase::Connecting(..) => !matches!(reason, CloseReason::ConnectRefused(_)),
            Phase::Running(session) => {
                session.is_blocked()
                    && self.leaving.is_none()
                    && matches!(
                        reason,
                        CloseReason::ClientClosed { .. } | CloseReason::Deleted
                    )
            }
            Phase::Handshake(_) | Phase::Ending => false,
        }
    }

    /// The client is gone: hub code must not wait for it, neither for its
    /// answers nor for it to cancel anything.
    pub(super) fn leave(&mut self, reason: CloseReason) {
        if self.leaving.is_some() {
            return;
        }
        let core = self.connection.core();
        tell_askers(core, self.connection.id());
        if let Phase::Connecting(session, _) | Phase::Running(session) = &mut self.phase {
            session.client_left();
        }
        // As long as a client may be silent, it may be gone.
        let patience = tokio::time::sleep(core.options.client_timeout_interval);
        self.leaving = Some(Leaving {
            reason,
            patience: Box::pin(patience),
        });
    }

    /// Ends at last, once nothing waits of what came before the client left,
    /// or once that took too long.
    pub(super) fn take_leave(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let Some(leaving) = &mut self.leaving else {
            return false;
        };
        let waits = match &self.phase {
            Phase::Connecting(..) => true,
            Phase::Running(session) => {
                session.is_blocked() && leaving.patience.as_mut().poll(cx).is_pending()
            }
            // It has ended otherwise meanwhile.
            Phase::Handshake(_) | Phase::Ending => {
                self.leaving = None;
                return false;
            }
        };
        if waits {
            return false;
        }
        let leaving = self.leaving.take().expect("it was there");
        self.close(leaving.reason);
        true
    }

    /// Lets a client's socket go that has left while hub code is still run.
    pub(super) fn part(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let Some(link) = self.link.as_mut().filter(|_| self.leaving.is_some()) else {
            return false;
        };
        let written = link.writing.is_empty() && self.connection.outbox().is_empty();
        if !(written && link.peer_closed) || link.poll_shutdown(cx).is_pending() {
            return false;
        }
        self.link = None;
        true
    }
}

/// Nobody waits any longer for answers of a client that is gone.
pub(super) fn tell_askers(core: &Core, id: ConnectionId) {
    for (invocation_id, to) in core.client_results.disconnect(id) {
        let mut frame = Vec::new();
        let error = Some("Connection disconnected.");
        to.protocol.write_end(&mut frame, &invocation_id, error);
        if let Some(relay) = &core.relay {
            relay.complete(to.to, to.protocol, frame.into());
        }
    }
}
