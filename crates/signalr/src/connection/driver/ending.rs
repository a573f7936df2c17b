//! The end of a connection: what the client is told, what is still done for
//! it, and what the hub hears.

use std::{
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use super::{Driver, Phase};
use crate::{
    TransportKind,
    close::CloseReason,
    connection::{Stage, handshake},
    hub::DisconnectReason,
    outbox::Frame,
    protocol::handshake::HandshakeError,
    websocket::close_code,
};

impl Driver {
    /// Decides the end: tells the client what it is to be told.
    pub(super) fn end(&mut self, reason: CloseReason) {
        if matches!(self.phase, Phase::Ending) {
            return;
        }
        let in_handshake = matches!(self.phase, Phase::Handshake(_));
        self.tell_end(&reason, in_handshake);
        if self.does_more(&reason) {
            self.leave(reason);
        } else {
            self.close(reason);
        }
    }

    /// Nothing more is done for the client but writing what waits.
    pub(super) fn close(&mut self, reason: CloseReason) {
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
