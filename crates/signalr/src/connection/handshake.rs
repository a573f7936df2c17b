//! The handshake of a connection: the first message of every client.

use std::sync::Arc;

use super::{Connection, Stage};
use crate::{
    TransportKind,
    outbox::Frame,
    protocol::{
        HubProtocol, TransferFormat,
        handshake::{self, HandshakeError, ParsedRequest},
    },
};

/// What came of the bytes so far.
pub(crate) enum Shaken {
    /// More bytes are needed.
    Incomplete,
    /// It is done; so many bytes were the request.
    Accepted {
        consumed: usize,
        protocol: HubProtocol,
        stateful: bool,
    },
    /// The client was told why not.
    Refused,
}

/// Reads the request from the start of `input` and answers it.
pub(crate) fn shake(connection: &Arc<Connection>, input: &[u8]) -> Shaken {
    let options = &connection.core().options;
    // The separator counts to the limit; nothing beyond it is looked at.
    let limit = options.maximum_receive_message_size.unwrap_or(usize::MAX);
    let visible = &input[..input.len().min(limit)];
    let (request, consumed) = match handshake::parse_request(visible) {
        Ok(ParsedRequest::Request { request, consumed }) => (request, consumed),
        Ok(ParsedRequest::Incomplete) if input.len() > limit => {
            return refuse(connection, &HandshakeError::Canceled);
        }
        Ok(ParsedRequest::Incomplete) => return Shaken::Incomplete,
        Err(error) => return refuse(connection, &error),
    };
    let carries = match connection.transport() {
        Some(TransportKind::ServerSentEvents) => TransferFormat::Text,
        _ => TransferFormat::Binary,
    };
    match request.accept(&HubProtocol::ALL, carries) {
        Ok(protocol) => {
            let stateful = connection.negotiated.stateful && request.version >= 2;
            connection.shake_hands(protocol, stateful);
            answer(connection, protocol.transfer_format(), None);
            Shaken::Accepted {
                consumed,
                protocol,
                stateful,
            }
        }
        Err(error) => refuse(connection, &error),
    }
}

/// Tells the client that its handshake is over.
pub(crate) fn refuse(connection: &Arc<Connection>, error: &HandshakeError) -> Shaken {
    let text = match connection.core().options.enable_detailed_errors {
        true => error.detailed(),
        false => error.to_string(),
    };
    answer(connection, TransferFormat::Text, Some(&text));
    Shaken::Refused
}

/// The answer is JSON text, whatever the protocol is.
fn answer(connection: &Arc<Connection>, format: TransferFormat, error: Option<&str>) {
    let frame = Frame::handshake(format, |out| handshake::write_response(out, error));
    let _ = connection.send(frame, 0);
    debug_assert!(connection.stage() >= Stage::Handshake);
}
