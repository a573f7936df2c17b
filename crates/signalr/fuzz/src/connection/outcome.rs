//! What a client was told, in a form in which two runs can be compared.

use std::collections::BTreeMap;

use signalr::protocol::{HubMessage, HubProtocol, Parsed};

use super::Transport;

/// Bytes as the client's end of the transport got them.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) bytes: Vec<u8>,
    /// More than one socket was used.
    pub(super) reattached: bool,
}

/// All that a client was told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    handshake: Vec<u8>,
    /// The items of each stream, in order.
    items: BTreeMap<String, Vec<Vec<u8>>>,
    /// All other messages, sorted: between invocations there is no order.
    messages: Vec<Vec<u8>>,
    /// The text of the Close message.
    close: Option<Option<String>>,
    /// The code of the WebSocket's close frame.
    code: Option<u16>,
}

impl Outcome {
    pub(super) fn read(said: &Said, transport: Transport) -> Self {
        let (payload, code) = match transport {
            Transport::LongPolling => (said.bytes.clone(), None),
            Transport::ServerSentEvents => (events(&said.bytes), None),
            Transport::WebSocket => frames(&said.bytes),
        };
        let mut outcome = Self {
            handshake: Vec::new(),
            items: BTreeMap::new(),
            messages: Vec::new(),
            close: None,
            code,
        };
        // Two sockets' bytes are not one stream of messages.
        if said.reattached {
            return outcome;
        }
        let Some(end) = payload.iter().position(|byte| *byte == 0x1e) else {
            assert!(payload.is_empty(), "the first answer is a whole record");
            return outcome;
        };
        outcome.handshake = payload[..end].to_vec();
        let rest = &payload[end + 1..];
        let read = HubProtocol::ALL
            .iter()
            .any(|protocol| outcome.read_messages(*protocol, rest));
        assert!(read, "what the server says is what a client can read");
        outcome
    }

    fn read_messages(&mut self, protocol: HubProtocol, mut rest: &[u8]) -> bool {
        self.items.clear();
        self.messages.clear();
        self.close = None;
        while !rest.is_empty() {
            let Ok(Parsed::Message { message, consumed }) = protocol.parse(rest) else {
                return false;
            };
            let (bytes, after) = rest.split_at(consumed);
            rest = after;
            match message {
                // When an Ack is due is a matter of the clock.
                HubMessage::Ping | HubMessage::Ack { .. } => {}
                HubMessage::Close { error, .. } => {
                    self.close = Some(error.map(|text| text.into_owned()));
                }
                HubMessage::StreamItem(item) => {
                    let items = self.items.entry(item.invocation_id.into_owned());
                    items.or_default().push(bytes.to_vec());
                }
                _ => self.messages.push(bytes.to_vec()),
            }
        }
        self.messages.sort();
        true
    }

    /// Whether the server ended the conversation.
    fn ended(&self) -> bool {
        self.close.is_some() || self.code.is_some()
    }

    fn has_late_item(&self) -> bool {
        let text = self.close.as_ref().and_then(Option::as_ref);
        text.is_some_and(|text| text.contains("No stream with id"))
    }

    /// Two runs of the same bytes, cut differently. What a connection that
    /// ends still had under way may or may not have come to its own end first.
    pub(super) fn assert_same(&self, other: &Self, plain: bool) {
        // A text whose bad byte came with the rest is refused as a whole.
        if [self.code, other.code].contains(&Some(1007)) {
            return;
        }
        assert_eq!(self.handshake, other.handshake);
        // Whether an id is free again, a stream still to be cancelled or an
        // upload still wanted, is a matter of how far the methods got.
        if !plain || self.has_late_item() || other.has_late_item() {
            return;
        }
        assert_eq!(
            self.close, other.close,
            "codes {:?} and {:?}",
            self.code, other.code
        );
        assert_eq!(self.code, other.code);
        if !self.ended() {
            assert_eq!(self.messages, other.messages);
            assert_eq!(self.items, other.items);
            return;
        }
        for (id, items) in &self.items {
            let others = other.items.get(id).map_or(&[][..], Vec::as_slice);
            let common = items.len().min(others.len());
            assert_eq!(items[..common], others[..common]);
        }
    }
}

/// The payload of all data frames, and the code of the close frame. Server
/// frames are whole and not masked (RFC 6455, section 5.1).
fn frames(mut bytes: &[u8]) -> (Vec<u8>, Option<u16>) {
    let (mut payload, mut code) = (Vec::new(), None);
    while let [first, second, rest @ ..] = bytes {
        assert!(code.is_none(), "nothing follows a close frame");
        assert_eq!(first & 0xf0, 0x80, "whole frames, no extension");
        let (length, rest) = match (second, rest) {
            (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            (127, [a, b, c, d, e, f, g, h, rest @ ..]) => {
                let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
                (length as usize, rest)
            }
            (length, rest) => (usize::from(*length), rest),
        };
        // The run ended in the middle of a frame.
        let Some((body, rest)) = rest.split_at_checked(length) else {
            break;
        };
        match first & 0x0f {
            1 | 2 => payload.extend_from_slice(body),
            8 => code = Some(u16::from_be_bytes([body[0], body[1]])),
            9 | 10 => assert!(length <= 125),
            opcode => panic!("a frame of kind {opcode}"),
        }
        bytes = rest;
    }
    (payload, code)
}

/// The data of all events.
fn events(bytes: &[u8]) -> Vec<u8> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"data: "))
        .flat_map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .copied()
        .collect()
}
