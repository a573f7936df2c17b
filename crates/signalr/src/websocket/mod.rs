//! RFC 6455 framing, without I/O.
//!
//! Owns reading client frames and writing server frames. It does not open the
//! connection (`transport::web_socket`) and knows nothing of hub messages.
//! It is our own because two things that the hub lives from are not to be had
//! otherwise: a frame that is built once, header included, for any number of
//! receivers, and no buffer for a connection that is idle.

mod decode;
mod encode;
mod utf8;

pub(crate) use decode::{Decoder, Event, Violation};
pub(crate) use encode::{HEADER_ROOM, Opcode, close, control, finish_message};

/// Close codes of RFC 6455, section 7.4.1.
pub(crate) mod close_code {
    pub(crate) const NORMAL: u16 = 1000;
    pub(crate) const PROTOCOL_ERROR: u16 = 1002;
    pub(crate) const INVALID_PAYLOAD: u16 = 1007;
}

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455, section 4.2.2).
pub(crate) fn accept_key(key: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha1::{Digest as _, Sha1};

    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_accept_key_is_that_of_the_rfc() {
        assert_eq!(
            super::accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
