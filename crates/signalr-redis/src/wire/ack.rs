//! Acknowledgements: that a group command was carried out.

use bytes::Bytes;
use rmp::encode;

use super::{
    WireError,
    invocation::{INFALLIBLE, array},
    reader::Reader,
};

/// `[id]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The command's id.
    pub id: i32,
}

impl Ack {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(6);
        array(&mut out, 1);
        encode::write_sint(&mut out, self.id.into()).expect(INFALLIBLE);
        out
    }

    /// Reads what a server published.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn read(payload: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        reader.array(1, "Ack")?;
        Ok(Self { id: reader.int()? })
    }
}
