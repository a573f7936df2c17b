//! What a client said that is not dealt with yet: bytes in order, taken from
//! the front. It knows where messages end only to find Acks ahead of their turn.

use crate::protocol::{HubMessage, HubProtocol, Parsed};

/// Bytes that make no whole message yet, or wait while the session is blocked.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    /// Up to here they were dealt with.
    done: usize,
    /// Up to here they were looked through for Acks.
    looked: usize,
    /// Behind what was looked through stands no message: nothing more is found.
    unreadable: bool,
}

impl Backlog {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.done
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What waits.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.done..]
    }

    /// So much of it was dealt with.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.done += bytes;
        if self.is_empty() {
            *self = Self::default();
        } else if self.done > self.bytes.len() / 2 {
            // Moved as seldom as this, each byte is moved once on the average.
            self.bytes.drain(..self.done);
            self.looked = self.looked.saturating_sub(self.done);
            self.done = 0;
        }
    }

    /// The highest Ack among the whole messages that came since the last look.
    pub(super) fn ack_ahead(&mut self, protocol: HubProtocol) -> Option<i64> {
        let mut highest = None;
        self.looked = self.looked.max(self.done);
        while !self.unreadable {
            let consumed = match protocol.parse(&self.bytes[self.looked..]) {
                Ok(Parsed::Message { message, consumed }) => {
                    if let HubMessage::Ack { sequence_id } = message {
                        highest = highest.max(Some(sequence_id));
                    }
                    consumed
                }
                Ok(Parsed::Unknown { consumed }) => consumed,
                Ok(Parsed::Incomplete) => break,
                // Its turn will come, and end the connection.
                Err(_) => {
                    self.unreadable = true;
                    break;
                }
            };
            self.looked += consumed;
        }
        highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: &[u8] = b"{\"type\":6}\x1e";

    fn ack(id: i64) -> Vec<u8> {
        format!("{{\"type\":8,\"sequenceId\":{id}}}\x1e").into_bytes()
    }

    #[test]
    fn each_ack_is_found_once_however_it_comes_in() {
        let mut backlog = Backlog::default();
        backlog.push(PING);
        let (first, second) = (ack(3), ack(5));
        backlog.push(&first[..9]);
        assert_eq!(backlog.ack_ahead(HubProtocol::Json), None);
        backlog.push(&first[9..]);
        backlog.push(&second);
        assert_eq!(backlog.ack_ahead(HubProtocol::Json), Some(5));
        assert_eq!(backlog.ack_ahead(HubProtocol::Json), None);
        // What is dealt with is not looked through again, nor left out.
        backlog.advance(PING.len() + first.len());
        assert_eq!(backlog.rest(), second);
        assert_eq!(backlog.ack_ahead(HubProtocol::Json), None);
        backlog.push(&ack(6));
        assert_eq!(backlog.ack_ahead(HubProtocol::Json), Some(6));
        backlog.advance(backlog.len());
        backlog.push(&ack(7));
        assert_eq!(backlog.ack_ahead(HubProtocol::Json), Some(7));
    }

    #[test]
    fn behind_what_is_no_message_nothing_is_found() {
        let mut backlog = Backlog::default();
        backlog.push(b"nonsense\x1e");
        backlog.push(&ack(1));
        assert_eq!(backlog.ack_ahead(HubProtocol::Json), None);
        backlog.push(&ack(2));
        assert_eq!(backlog.ack_ahead(HubProtocol::Json), None);
        assert!(!backlog.is_empty());
    }
}
