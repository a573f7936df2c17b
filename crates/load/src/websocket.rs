//! RFC 6455 framing for a client, without I/O.
//!
//! Hub messages carry their own borders, so the payload of data frames is
//! handed on as one stream, piece by piece: no message is gathered here, and a
//! connection that is silent needs no buffer.

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Text = 1,
    Binary = 2,
    Close = 8,
    Pong = 10,
}

/// Bytes that a server must not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the server sent a frame with reserved bits or an unknown opcode")]
    Reserved,
    #[error("the server sent a masked frame")]
    Masked,
    #[error("the server sent a control frame that is too long or in pieces")]
    Control,
}

/// What the server's frames said, beside their payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Control {
    /// To be answered with a Pong of the same payload.
    Ping(Vec<u8>),
    /// The connection ends.
    Close,
}

const LONGEST_CONTROL: u64 = 125;

/// Reads a server's frames, cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    head: [u8; 10],
    head_length: usize,
    /// Of the frame whose head is complete: opcode and what is left of it.
    frame: Option<(u8, u64)>,
    control: Vec<u8>,
}

impl Decoder {
    /// Reads `input` to its end. Payload of data frames is added to `data`.
    pub(crate) fn decode(
        &mut self,
        mut input: &[u8],
        data: &mut Vec<u8>,
        mut on_control: impl FnMut(Control),
    ) -> Result<(), FrameError> {
        while !input.is_empty() {
            let Some((opcode, left)) = self.frame else {
                self.head[self.head_length] = input[0];
                self.head_length += 1;
                input = &input[1..];
                self.frame = self.head()?;
                if matches!(self.frame, Some((_, 0))) {
                    self.end(&mut on_control);
                }
                continue;
            };
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
            let (piece, rest) = input.split_at(length);
            input = rest;
            if opcode < 8 {
                data.extend_from_slice(piece);
            } else {
                self.control.extend_from_slice(piece);
            }
            self.frame = Some((opcode, left - length as u64));
            if left == length as u64 {
                self.end(&mut on_control);
            }
        }
        Ok(())
    }

    /// Opcode and length, once the head is complete (RFC 6455, section 5.2).
    fn head(&self) -> Result<Option<(u8, u64)>, FrameError> {
        let head = &self.head[..self.head_length];
        let [first, second, extended @ ..] = head else {
            return Ok(None);
        };
        let opcode = first & 0x0f;
        if first & 0x70 != 0 || !matches!(opcode, 0..=2 | 8..=10) {
            return Err(FrameError::Reserved);
        }
        if second & 0x80 != 0 {
            return Err(FrameError::Masked);
        }
        let length = match (second & 0x7f, extended) {
            (126, [a, b]) => u64::from(u16::from_be_bytes([*a, *b])),
            (126, _) => return Ok(None),
            (127, extended) => match extended.try_into() {
                Ok(bytes) => u64::from_be_bytes(bytes),
                Err(_) => return Ok(None),
            },
            (short, _) => u64::from(short),
        };
        if opcode >= 8 && (length > LONGEST_CONTROL || first & 0x80 == 0) {
            return Err(FrameError::Control);
        }
        Ok(Some((opcode, length)))
    }

    fn end(&mut self, on_control: &mut impl FnMut(Control)) {
        self.head_length = 0;
        let Some((opcode, _)) = self.frame.take() else {
            return;
        };
        if opcode >= 8 {
            let payload = std::mem::take(&mut self.control);
            match opcode {
                8 => on_control(Control::Close),
                9 => on_control(Control::Ping(payload)),
                _ => {}
            }
        }
    }
}

/// Appends a whole frame, masked as a client's must be.
pub(crate) fn encode(opcode: Opcode, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    out.push(0x80 | opcode as u8);
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    out.extend(masked.map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A server's frame.
    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..=125 => out.push(length as u8),
            length => {
                out.push(126);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        out.extend_from_slice(payload);
        out
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(parts in prop::collection::vec((prop::sample::select(vec![1_u8, 2, 9, 10]), prop::collection::vec(any::<u8>(), 0..120), 0_usize..3), 0..6), cuts in prop::collection::vec(1_usize..50, 1..40)) {
            let (mut stream, mut data, mut pings) = (Vec::new(), Vec::new(), Vec::new());
            for (opcode, payload, times) in &parts {
                let payload = if *opcode < 8 { payload.repeat(*times) } else { payload.clone() };
                stream.extend(frame(*opcode, &payload));
                match opcode {
                    1 | 2 => data.extend(payload),
                    9 => pings.push(Control::Ping(payload)),
                    _ => {}
                }
            }
            let (mut decoder, mut read, mut controls) = (Decoder::default(), Vec::new(), Vec::new());
            let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                decoder.decode(piece, &mut read, |control| controls.push(control)).unwrap();
                rest = behind;
            }
            prop_assert_eq!(read, data);
            prop_assert_eq!(controls, pings);
        }

        #[test]
        fn any_bytes_are_frames_or_an_error(bytes: Vec<u8>) {
            let _ = Decoder::default().decode(&bytes, &mut Vec::new(), |_| {});
        }
    }

    #[test]
    fn a_client_masks_what_it_sends() {
        let mut out = Vec::new();
        encode(Opcode::Text, b"ab", [1, 2, 3, 4], &mut out);
        assert_eq!(out, [0x81, 0x82, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2]);
        out.clear();
        encode(Opcode::Binary, &[0; 126], [0; 4], &mut out);
        assert_eq!(out[..4], [0x82, 0xfe, 0, 126]);
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        let decode = |bytes: &[u8]| Decoder::default().decode(bytes, &mut Vec::new(), |_| {});
        assert_eq!(decode(&[0x81, 0x80]), Err(FrameError::Masked));
        assert_eq!(decode(&[0xc1, 0x00]), Err(FrameError::Reserved));
        assert_eq!(decode(&[0x83, 0x00]), Err(FrameError::Reserved));
        assert_eq!(decode(&[0x09, 0x00]), Err(FrameError::Control));
        assert_eq!(decode(&[0x89, 126, 0, 126]), Err(FrameError::Control));
    }
}
