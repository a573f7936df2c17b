//! Reads MessagePack out of shared bytes: strings and binaries stay slices of
//! them, and no length is believed before as many bytes are there.

use bytes::Bytes;
use rmp::{Marker, decode};

use super::WireError;

pub(super) struct Reader<'a> {
    payload: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(payload: &'a Bytes) -> Self {
        Self {
            payload,
            rest: payload,
        }
    }

    /// The head of an array of at least `least` items; gives their number.
    pub(super) fn array(
        &mut self,
        least: usize,
        message: &'static str,
    ) -> Result<usize, WireError> {
        let length = self.length("an array", decode::read_array_len)?;
        match length < least {
            true => Err(WireError::Insufficient(message)),
            false => Ok(length),
        }
    }

    /// The head of an array or map whose items are read after it.
    pub(super) fn array_length(&mut self) -> Result<usize, WireError> {
        self.length("an array", decode::read_array_len)
    }

    pub(super) fn map_length(&mut self) -> Result<usize, WireError> {
        self.length("a map", decode::read_map_len)
    }

    /// An item takes a byte at least, so a greater number is a lie.
    fn length<E>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut &'a [u8]) -> Result<u32, E>,
    ) -> Result<usize, WireError> {
        self.some()?;
        let length = read(&mut self.rest).map_err(|_| WireError::Expected(what))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        match length > self.rest.len() {
            true => Err(WireError::Truncated),
            false => Ok(length),
        }
    }

    pub(super) fn str(&mut self) -> Result<&'a str, WireError> {
        self.some()?;
        let length =
            decode::read_str_len(&mut self.rest).map_err(|_| WireError::Expected("a string"))?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| WireError::Expected("UTF-8"))
    }

    /// A string, or nothing where the value is of another type: it is skipped
    /// by whoever reads no further.
    pub(super) fn maybe_str(&mut self) -> Option<&'a str> {
        let is_string = matches!(
            self.rest.first().map(|byte| Marker::from_u8(*byte)),
            Some(Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32)
        );
        if is_string { self.str().ok() } else { None }
    }

    pub(super) fn binary(&mut self) -> Result<Bytes, WireError> {
        self.some()?;
        let length =
            decode::read_bin_len(&mut self.rest).map_err(|_| WireError::Expected("bytes"))?;
        let bytes = self.take(length)?;
        Ok(self.payload.slice_ref(bytes))
    }

    pub(super) fn int(&mut self) -> Result<i32, WireError> {
        self.some()?;
        decode::read_int(&mut self.rest).map_err(|_| WireError::Expected("an int32"))
    }

    fn some(&self) -> Result<(), WireError> {
        match self.rest.is_empty() {
            true => Err(WireError::Truncated),
            false => Ok(()),
        }
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}
