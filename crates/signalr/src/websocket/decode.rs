//! Client frames: masked, perhaps fragmented, cut anywhere.

use super::{close_code, utf8::Utf8Checker};

/// What the next bytes of a socket are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// A piece of a message, unmasked. Hub messages have their own framing, so
    /// a hub does not ask for the message's kind or end.
    Data {
        piece: &'a [u8],
        text: bool,
        ends: bool,
    },
    /// A ping to be answered with the same payload.
    Ping(&'a [u8]),
    /// The answer to a ping.
    Pong(&'a [u8]),
    /// The client closes. Nothing after it is read.
    Close,
}

/// A breach of RFC 6455, with the close code that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

const fn protocol_error(reason: &'static str) -> Violation {
    Violation {
        code: close_code::PROTOCOL_ERROR,
        reason,
    }
}

const NOT_UTF8: Violation = Violation {
    code: close_code::INVALID_PAYLOAD,
    reason: "a text message is not UTF-8",
};

const MAX_HEADER: usize = 14;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Kind {
    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The frame whose payload is being read.
#[derive(Debug)]
struct Frame {
    kind: Kind,
    fin: bool,
    left: u64,
    mask: [u8; 4],
    /// Position in the mask: the payload may be cut anywhere.
    mask_at: u8,
}

/// Turns a client's bytes into [`Event`]s.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    header: [u8; MAX_HEADER],
    header_len: u8,
    frame: Option<Frame>,
    /// The kind of the fragmented message under way.
    message: Option<Kind>,
    utf8: Utf8Checker,
    /// A control payload that was cut; empty otherwise.
    control: Vec<u8>,
}

impl Decoder {
    /// Reads from `input`, unmasking in place. Gives how much was taken and
    /// what it was; `None` when it was not a whole event yet (then all of
    /// `input` was taken).
    pub(crate) fn next<'a>(
        &'a mut self,
        input: &'a mut [u8],
    ) -> Result<(usize, Option<Event<'a>>), Violation> {
        let mut taken = 0;
        if self.frame.is_none() {
            taken = match self.read_header(input)? {
                Some(taken) => taken,
                None => return Ok((input.len(), None)),
            };
        }
        let frame = self.frame.as_mut().expect("the header was read");
        let rest = &mut input[taken..];
        let length = rest
            .len()
            .min(usize::try_from(frame.left).unwrap_or(usize::MAX));
        let piece = &mut rest[..length];
        unmask(piece, frame.mask, &mut frame.mask_at);
        frame.left -= length as u64;
        taken += length;
        let whole = frame.left == 0;
        if frame.kind.is_control() {
            let kind = frame.kind;
            if !whole || !self.control.is_empty() {
                self.control.extend_from_slice(piece);
            }
            if !whole {
                return Ok((taken, None));
            }
            self.frame = None;
            return self
                .control_event(kind, piece)
                .map(|event| (taken, Some(event)));
        }
        let (kind, fin) = (frame.kind, frame.fin);
        if kind == Kind::Text && !self.utf8.push(piece) {
            return Err(NOT_UTF8);
        }
        if whole {
            self.frame = None;
            self.message = (!fin).then_some(kind);
            if fin && kind == Kind::Text && !self.utf8.at_boundary() {
                return Err(NOT_UTF8);
            }
        }
        let ends = whole && fin;
        let event = (length > 0 || ends).then_some(Event::Data {
            piece,
            text: kind == Kind::Text,
            ends,
        });
        Ok((taken, event))
    }

    fn control_event<'a>(
        &'a mut self,
        kind: Kind,
        piece: &'a [u8],
    ) -> Result<Event<'a>, Violation> {
        // A cut payload was gathered in `control`; it is given out from there
        // and forgotten at the next call's first byte of a control frame.
        let payload: &[u8] = if self.control.is_empty() {
            piece
        } else {
            self.header_len = 0;
            &self.control
        };
        let event = match kind {
            Kind::Ping => Event::Ping(payload),
            Kind::Pong => Event::Pong(payload),
            _ => {
                check_close(payload)?;
                Event::Close
            }
        };
        Ok(event)
    }

    /// Reads a frame header; gives how much of `input` it took, or `None` when
    /// it is not all there (it is kept then).
    fn read_header(&mut self, input: &[u8]) -> Result<Option<usize>, Violation> {
        if self.header_len == 0 {
            self.control = Vec::new();
        }
        let kept = usize::from(self.header_len);
        let copied = input.len().min(MAX_HEADER - kept);
        self.header[kept..kept + copied].copy_from_slice(&input[..copied]);
        let available = kept + copied;
        let header = &self.header[..available];
        if available < 2 {
            self.header_len = available as u8;
            return Ok(None);
        }
        let kind = self.frame_kind(header[0])?;
        if header[1] & 0x80 == 0 {
            return Err(protocol_error("a client frame is not masked"));
        }
        let (length_end, short) = match header[1] & 0x7f {
            126 => (4, None),
            127 => (10, None),
            length => (2, Some(u64::from(length))),
        };
        let fin = header[0] & 0x80 != 0;
        if kind.is_control() && (!fin || short.is_none()) {
            return Err(protocol_error(
                "a control frame is fragmented or longer than 125 bytes",
            ));
        }
        let end = length_end + 4;
        if available < end {
            self.header_len = available as u8;
            return Ok(None);
        }
        let left = match short {
            Some(length) => length,
            None if length_end == 4 => u64::from(u16::from_be_bytes([header[2], header[3]])),
            None => u64::from_be_bytes(header[2..10].try_into().expect("eight bytes")),
        };
        if left > i64::MAX as u64 {
            return Err(protocol_error("a frame length has its highest bit set"));
        }
        let mask = header[length_end..end].try_into().expect("four bytes");
        self.frame = Some(Frame {
            kind,
            fin,
            left,
            mask,
            mask_at: 0,
        });
        self.header_len = 0;
        Ok(Some(end - kept))
    }

    fn frame_kind(&self, first: u8) -> Result<Kind, Violation> {
        if first & 0x70 != 0 {
            return Err(protocol_error("a reserved bit is set without an extension"));
        }
        let kind = match first & 0x0f {
            0 => self
                .message
                .ok_or(protocol_error("a continuation without a message"))?,
            1 => Kind::Text,
            2 => Kind::Binary,
            8 => Kind::Close,
            9 => Kind::Ping,
            10 => Kind::Pong,
            _ => return Err(protocol_error("a reserved opcode")),
        };
        if matches!(first & 0x0f, 1 | 2) && self.message.is_some() {
            return Err(protocol_error("a new message inside a fragmented one"));
        }
        Ok(kind)
    }
}

/// Checks a close payload (RFC 6455, sections 5.5.1 and 7.4).
fn check_close(payload: &[u8]) -> Result<(), Violation> {
    let Some((code, reason)) = payload.split_at_checked(2) else {
        return if payload.is_empty() {
            Ok(())
        } else {
            Err(protocol_error("half a close code"))
        };
    };
    let code = u16::from_be_bytes([code[0], code[1]]);
    let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    if !allowed {
        return Err(protocol_error("a close code that must not be sent"));
    }
    std::str::from_utf8(reason)
        .map(|_| ())
        .map_err(|_| NOT_UTF8)
}

fn unmask(piece: &mut [u8], mask: [u8; 4], mask_at: &mut u8) {
    let mut rotated = mask;
    rotated.rotate_left(usize::from(*mask_at));
    let wide = u64::from_ne_bytes([
        rotated[0], rotated[1], rotated[2], rotated[3], rotated[0], rotated[1], rotated[2],
        rotated[3],
    ]);
    let mut chunks = piece.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let word = u64::from_ne_bytes(chunk.try_into().expect("eight bytes"));
        chunk.copy_from_slice(&(word ^ wide).to_ne_bytes());
    }
    for (at, byte) in chunks.into_remainder().iter_mut().enumerate() {
        *byte ^= rotated[at % 4];
    }
    *mask_at = ((usize::from(*mask_at) + piece.len()) % 4) as u8;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut out = vec![first];
        match payload.len() {
            length @ 0..=125 => out.push(0x80 | length as u8),
            length => {
                out.push(0x80 | 126);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        out.extend_from_slice(&mask);
        out.extend(
            payload
                .iter()
                .enumerate()
                .map(|(at, byte)| byte ^ mask[at % 4]),
        );
        out
    }

    /// All events of `bytes` fed in pieces, data joined.
    fn decode(bytes: &[u8], pieces: &[usize]) -> Result<Vec<(char, Vec<u8>)>, Violation> {
        let mut decoder = Decoder::default();
        let mut events: Vec<(char, Vec<u8>)> = Vec::new();
        let mut cuts: Vec<usize> = pieces.iter().map(|at| at % (bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        for range in cuts.windows(2) {
            let mut input = bytes[range[0]..range[1]].to_vec();
            let mut rest = &mut input[..];
            while !rest.is_empty() {
                let (taken, event) = decoder.next(rest)?;
                let (kind, payload) = match event {
                    None => (' ', Vec::new()),
                    Some(Event::Data { piece, .. }) => ('d', piece.to_vec()),
                    Some(Event::Ping(data)) => ('i', data.to_vec()),
                    Some(Event::Pong(data)) => ('o', data.to_vec()),
                    Some(Event::Close) => return Ok(events),
                };
                match events.last_mut() {
                    _ if kind == ' ' => {}
                    Some((last, data)) if *last == 'd' && kind == 'd' => data.extend(payload),
                    _ => events.push((kind, payload)),
                }
                rest = &mut rest[taken..];
            }
        }
        Ok(events)
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_events(
            payloads in prop::collection::vec((0u8..4, prop::collection::vec(b'a'..=b'z', 0..300)), 1..6),
            cuts in prop::collection::vec(any::<usize>(), 0..8),
        ) {
            let bytes: Vec<u8> = payloads
                .iter()
                .flat_map(|(kind, payload)| match kind {
                    0 => frame(0x81, payload),
                    1 => frame(0x82, payload),
                    2 => frame(0x89, &payload[..payload.len().min(125)]),
                    _ => frame(0x8a, &payload[..payload.len().min(125)]),
                })
                .collect();
            prop_assert_eq!(decode(&bytes, &cuts), decode(&bytes, &[]));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, cuts in prop::collection::vec(any::<usize>(), 0..4)) {
            let _ = decode(&bytes, &cuts);
        }
    }

    #[test]
    fn a_message_may_be_fragmented_around_a_ping() {
        let bytes = [frame(0x01, b"ab"), frame(0x89, b"!"), frame(0x80, b"cd")].concat();
        let events = decode(&bytes, &[]).unwrap();
        assert_eq!(
            events,
            [
                ('d', b"ab".to_vec()),
                ('i', b"!".to_vec()),
                ('d', b"cd".to_vec())
            ]
        );
    }

    #[test]
    fn breaches_have_their_code() {
        let mut unmasked = frame(0x81, b"x");
        unmasked[1] &= 0x7f;
        for (bytes, code) in [
            (unmasked, 1002),
            (frame(0xc1, b"x"), 1002),
            (frame(0x83, b"x"), 1002),
            (frame(0x80, b"x"), 1002),
            (frame(0x09, b"x"), 1002),
            (frame(0x89, &[b'x'; 126]), 1002),
            ([frame(0x01, b"x"), frame(0x81, b"y")].concat(), 1002),
            (frame(0x81, b"\xff"), 1007),
            (frame(0x81, b"\xc3"), 1007),
            (frame(0x88, &[3]), 1002),
            (frame(0x88, &999u16.to_be_bytes()), 1002),
            (frame(0x88, b"\x03\xe8\xff"), 1007),
        ] {
            assert_eq!(decode(&bytes, &[]).unwrap_err().code, code, "{bytes:x?}");
        }
    }

    #[test]
    fn a_character_may_be_cut_between_fragments() {
        let bytes = [frame(0x01, b"\xc3"), frame(0x80, b"\xa9")].concat();
        assert_eq!(
            decode(&bytes, &[]).unwrap(),
            [('d', "é".as_bytes().to_vec())]
        );
    }
}
