//! Server frames: never masked, never fragmented.

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// Room that a message's header may take in front of its payload.
pub(crate) const HEADER_ROOM: usize = 10;

const FIN: u8 = 0x80;

/// Writes the header of a one-frame message into the room left in front of its
/// payload, `buffer[HEADER_ROOM..]`, and gives the place where the frame starts.
pub(crate) fn finish_message(buffer: &mut [u8], opcode: Opcode) -> usize {
    let length = buffer.len() - HEADER_ROOM;
    let start = match length {
        0..=125 => {
            buffer[HEADER_ROOM - 1] = length as u8;
            HEADER_ROOM - 2
        }
        126..=0xffff => {
            buffer[HEADER_ROOM - 3] = 126;
            buffer[HEADER_ROOM - 2..HEADER_ROOM].copy_from_slice(&(length as u16).to_be_bytes());
            HEADER_ROOM - 4
        }
        _ => {
            buffer[1] = 127;
            buffer[2..HEADER_ROOM].copy_from_slice(&(length as u64).to_be_bytes());
            0
        }
    };
    buffer[start] = FIN | opcode as u8;
    start
}

/// A control frame with at most 125 bytes (RFC 6455, section 5.5).
pub(crate) fn control(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    debug_assert!(payload.len() <= 125);
    let mut frame = Vec::with_capacity(2 + payload.len());
    frame.push(FIN | opcode as u8);
    frame.push(payload.len() as u8);
    frame.extend_from_slice(payload);
    frame
}

/// A close frame without a reason.
pub(crate) fn close(code: u16) -> Vec<u8> {
    control(Opcode::Close, &code.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        for (length, header) in [
            (0usize, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65535, vec![0x81, 126, 0xff, 0xff]),
            (65536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut buffer = vec![b'x'; HEADER_ROOM + length];
            let start = finish_message(&mut buffer, Opcode::Text);
            assert_eq!(buffer[start..HEADER_ROOM], header);
        }
    }
}
