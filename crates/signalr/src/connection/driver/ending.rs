//! The end of a connection: what the client is told, what is still done for
//! it, and what the hub hears.

use std::{
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use super::{Driver, Phase};
use crate::{
    ConnectionId, TransportKind,
    close::CloseReason,
    connection::{Stage, handshake},
    hub::DisconnectReason,
    outbox::Frame,
    protocol::handshake::HandshakeError,
    server::Core,
    websocket::close_code,
};

impl Driver {
    /// Decides the end: tells the client what it is to be told.
    pub(super) fn end(&mut self, reason: CloseReason) {
        if matches!(self.phase, Phase::Ending) {
            return;
        }
        let in_handshake = matches!(self.phase, Phase::Handshake(_));
        let waits = match &self.phase {
            // It is run to its end, and `on_disconnected` follows it.
            Phase::Connecting(..) => !matches!(reason, CloseReason::ConnectRefused(_)),
            // What the client said before it left in good order is still done,
            // as ASP.NET Core reads its pipe to the end.
            Phase::Running(session) => {
                session.is_blocked()
                    && self.leaving.is_none()
                    && matches!(
                        reason,
                        CloseReason::ClientClosed { .. } | CloseReason::Deleted
                    )
            }
            Phase::Handshake(_) | Phase::Ending => false,
        };
        self.tell_end(&reason, in_handshake);
        if waits {
            self.leaving.get_or_insert(reason);
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Ending) {
            Phase::Connecting(mut session, _) | Phase::Running(mut session) => session.end(),
            Phase::Handshake(_) | Phase::Ending => {}
        }
        let connection = &self.connection;
        connection.enter(Stage::Ending);
        connection.wake_sink();
        self.ended = Some(reason);
    }

    /// Tells the client that and why it ends. Nothing is sent behind that.
    fn tell_end(&self, reason: &CloseReason, in_handshake: bool) {
        let connection = &self.connection;
        let core = connection.core();
        let told_by_frame = self.link.as_ref().is_some_and(|link| link.peer_closed);
        if in_handshake && matches!(reason, CloseReason::HandshakeTimeout) {
            handshake::refuse(connection, &HandshakeError::Canceled);
        }
        if let Some(message) = reason.message(core.options.enable_detailed_errors)
            && let Some(protocol) = connection.protocol()
            && !told_by_frame
        {
            let frame = Frame::uncounted(protocol, |out| {
                protocol.write_close(out, message.error.as_deref(), message.allow_reconnect);
            });
            let _ = connection.outbox().push(frame, 0, usize::MAX);
        }
        if connection.transport() == Some(TransportKind::WebSockets) {
            let code = match reason {
                CloseReason::Violation { code, .. } => *code,
                _ => close_code::NORMAL,
            };
            let _ = connection.outbox().push(Frame::close(code), 0, usize::MAX);
        }
        if matches!(reason, CloseReason::SlowClient) && self.link.is_none() {
            // Its stream stands still: nothing of it is kept for that.
            connection.outbox().detach();
        }
        connection.outbox().end();
    }

    /// Ends at last, once nothing waits of what came before the client left.
    pub(super) fn take_leave(&mut self) -> bool {
        let waits = match &self.phase {
            Phase::Connecting(..) => true,
            Phase::Running(session) => session.is_blocked(),
            Phase::Handshake(_) | Phase::Ending => false,
        };
        if waits {
            return false;
        }
        let Some(reason) = self.leaving.take() else {
            return false;
        };
        self.end(reason);
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

    /// Whether nothing is left to do on the transport.
    pub(super) fn is_finished(&mut self, cx: &mut TaskContext<'_>) -> bool {
        if !matches!(self.phase, Phase::Ending) {
            return false;
        }
        let Some(link) = &mut self.link else {
            return true;
        };
        let waited = self
            .connection
            .core()
            .since(&self.connection.times.stage_since);
        let overdue = waited >= self.connection.core().options.web_socket_close_timeout;
        let written = link.writing.is_empty() && self.connection.outbox().is_empty();
        if written && link.peer_closed {
            return overdue || !matches!(link.poll_shutdown(cx), Poll::Pending);
        }
        overdue
            || matches!(self.ended, Some(CloseReason::SlowClient))
                && waited >= Duration::from_secs(1)
    }

    /// The client closed the WebSocket in good order.
    pub(super) fn peer_left(&self) -> CloseReason {
        match &self.phase {
            Phase::Running(session) if session.has_partial_message() && !session.is_blocked() => {
                CloseReason::Protocol {
                    exception: "InvalidDataException",
                    message: "Connection terminated while reading a message.".to_owned(),
                }
            }
            _ => CloseReason::ClientClosed { error: None },
        }
    }
}

/// Nobody waits any longer for answers of a client that is gone.
pub(super) fn tell_elsewhere(core: &Core, id: ConnectionId) {
    for (invocation_id, to) in core.client_results.disconnect(id) {
        let mut frame = Vec::new();
        let error = Some("Connection disconnected.");
        to.protocol.write_end(&mut frame, &invocation_id, error);
        if let Some(relay) = &core.relay {
            relay.complete(to.to, to.protocol, frame.into());
        }
    }
}

/// What ASP.NET Core hands to `OnDisconnectedAsync` for each end.
pub(super) fn disconnect_reason(reason: CloseReason) -> DisconnectReason {
    let error = |exception, message: String| DisconnectReason::Error { exception, message };
    match reason {
        CloseReason::ClientClosed {
            error: Some(message),
        } => error("HubException", message),
        CloseReason::Protocol { exception, message } => error(exception, message),
        CloseReason::ClientTimeout => error(
            "OperationCanceledException",
            "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."
                .to_owned(),
        ),
        CloseReason::SlowClient => error(
            "TimeoutException",
            "The client reads too slowly.".to_owned(),
        ),
        CloseReason::Unwritable(cause) => error(cause.exception(), cause.to_string()),
        _ => DisconnectReason::Graceful,
    }
}
