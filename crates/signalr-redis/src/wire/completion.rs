//! Completions: a client's answer on its way to the server that asked.

use bytes::Bytes;
use rmp::encode;

use super::{
    WireError,
    invocation::{INFALLIBLE, array, text},
    reader::Reader,
};

/// `[protocol, frame]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion<S> {
    /// The name of the frame's protocol.
    pub protocol: S,
    /// The Completion message with its framing.
    pub frame: Bytes,
}

impl<S: AsRef<str>> Completion<S> {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.frame.len() + 24);
        array(&mut out, 2);
        text(&mut out, self.protocol.as_ref());
        encode::write_bin(&mut out, &self.frame).expect(INFALLIBLE);
        out
    }
}

impl<'a> Completion<&'a str> {
    /// Reads what a server published.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn read(payload: &'a Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        reader.array(2, "CompletionMessage")?;
        Ok(Self {
            protocol: reader.str()?,
            frame: reader.binary()?,
        })
    }
}
