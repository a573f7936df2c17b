//! A reader of MessagePack items in memory. Lengths come from the peer, so
//! nothing is allocated by them, and items nest at most [`MAX_DEPTH`] deep, so
//! its recursion is bounded.

use std::borrow::Cow;

use rmp::Marker;

/// The deepest nesting, the message itself included: the same as for JSON.
pub(super) const MAX_DEPTH: usize = 64;

/// Bytes that are not the item that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("Attempted to read past the end of the stream.")]
    End,
    #[error("Unexpected msgpack code {0} encountered.")]
    Unexpected(u8),
    #[error("This msgpack sequence is nested deeper than {MAX_DEPTH} levels.")]
    TooDeep,
}

#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The bytes from an earlier position up to this one.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    pub(super) fn array_len(&mut self) -> Result<usize, Malformed> {
        let (code, marker) = self.marker()?;
        match marker {
            Marker::FixArray(len) => Ok(usize::from(len)),
            Marker::Array16 => self.length(2),
            Marker::Array32 => self.length(4),
            _ => Err(Malformed::Unexpected(code)),
        }
    }

    pub(super) fn map_len(&mut self) -> Result<usize, Malformed> {
        let (code, marker) = self.marker()?;
        match marker {
            Marker::FixMap(len) => Ok(usize::from(len)),
            Marker::Map16 => self.length(2),
            Marker::Map32 => self.length(4),
            _ => Err(Malformed::Unexpected(code)),
        }
    }

    /// A string or nil. Like .NET's, the decoder replaces what is not UTF-8.
    pub(super) fn string(&mut self) -> Result<Option<Cow<'a, str>>, Malformed> {
        let (code, marker) = self.marker()?;
        let len = match marker {
            Marker::Null => return Ok(None),
            Marker::FixStr(len) => usize::from(len),
            Marker::Str8 => self.length(1)?,
            Marker::Str16 => self.length(2)?,
            Marker::Str32 => self.length(4)?,
            _ => return Err(Malformed::Unexpected(code)),
        };
        self.take(len)
            .map(|bytes| Some(String::from_utf8_lossy(bytes)))
    }

    /// An integer in any of the encoding's forms.
    pub(super) fn integer(&mut self) -> Result<i64, Malformed> {
        let (code, marker) = self.marker()?;
        match marker {
            Marker::FixPos(value) => Ok(i64::from(value)),
            Marker::FixNeg(value) => Ok(i64::from(value)),
            Marker::U8 => Ok(self.unsigned(1)?.cast_signed()),
            Marker::U16 => Ok(self.unsigned(2)?.cast_signed()),
            Marker::U32 => Ok(self.unsigned(4)?.cast_signed()),
            Marker::U64 => {
                i64::try_from(self.unsigned(8)?).map_err(|_| Malformed::Unexpected(code))
            }
            Marker::I8 => self.signed(1),
            Marker::I16 => self.signed(2),
            Marker::I32 => self.signed(4),
            Marker::I64 => self.signed(8),
            _ => Err(Malformed::Unexpected(code)),
        }
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Malformed> {
        match self.marker()? {
            (_, Marker::True) => Ok(true),
            (_, Marker::False) => Ok(false),
            (code, _) => Err(Malformed::Unexpected(code)),
        }
    }

    /// Goes past an item that lies `depth` levels deep.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), Malformed> {
        let (code, marker) = self.marker()?;
        let len = match marker {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
                0
            }
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 => 2,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            Marker::FixStr(len) => usize::from(len),
            Marker::Str8 | Marker::Bin8 => self.length(1)?,
            Marker::Str16 | Marker::Bin16 => self.length(2)?,
            Marker::Str32 | Marker::Bin32 => self.length(4)?,
            // An extension has its type in the byte before its data.
            Marker::FixExt1 => 1 + 1,
            Marker::FixExt2 => 1 + 2,
            Marker::FixExt4 => 1 + 4,
            Marker::FixExt8 => 1 + 8,
            Marker::FixExt16 => 1 + 16,
            Marker::Ext8 => self.length(1)?.saturating_add(1),
            Marker::Ext16 => self.length(2)?.saturating_add(1),
            Marker::Ext32 => self.length(4)?.saturating_add(1),
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                self.at -= 1;
                let items = self.array_len()?;
                return self.skip_items(items, depth);
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                self.at -= 1;
                let items = self.map_len()?.saturating_mul(2);
                return self.skip_items(items, depth);
            }
            Marker::Reserved => return Err(Malformed::Unexpected(code)),
        };
        self.take(len).map(drop)
    }

    /// However many items are claimed, each takes a byte, so this ends.
    fn skip_items(&mut self, items: usize, depth: usize) -> Result<(), Malformed> {
        if depth >= MAX_DEPTH {
            return Err(Malformed::TooDeep);
        }
        (0..items).try_for_each(|_| self.skip(depth + 1))
    }

    fn marker(&mut self) -> Result<(u8, Marker), Malformed> {
        let code = *self.bytes.get(self.at).ok_or(Malformed::End)?;
        self.at += 1;
        Ok((code, Marker::from_u8(code)))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let bytes = self.bytes[self.at..].get(..len).ok_or(Malformed::End)?;
        self.at += len;
        Ok(bytes)
    }

    fn length(&mut self, bytes: usize) -> Result<usize, Malformed> {
        // A length that the machine cannot count is not in the input either.
        usize::try_from(self.unsigned(bytes)?).map_err(|_| Malformed::End)
    }

    fn unsigned(&mut self, bytes: usize) -> Result<u64, Malformed> {
        let bytes = self.take(bytes)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }

    fn signed(&mut self, bytes: usize) -> Result<i64, Malformed> {
        let unused = 64 - 8 * bytes;
        let value = self.unsigned(bytes)?.cast_signed();
        Ok((value << unused) >> unused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_every_form() {
        for value in [
            0,
            1,
            127,
            128,
            255,
            256,
            65_535,
            65_536,
            4_294_967_295,
            4_294_967_296,
            i64::MAX,
            -1,
            -32,
            -33,
            -128,
            -129,
            -32_768,
            -32_769,
            -2_147_483_648,
            -2_147_483_649,
            i64::MIN,
        ] {
            let mut bytes = Vec::new();
            rmp::encode::write_sint(&mut bytes, value).unwrap();
            assert_eq!(Reader::new(&bytes).integer(), Ok(value));
            let mut longest = Vec::new();
            rmp::encode::write_i64(&mut longest, value).unwrap();
            assert_eq!(Reader::new(&longest).integer(), Ok(value));
        }
        let beyond = [0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            Reader::new(&beyond).integer(),
            Err(Malformed::Unexpected(0xcf))
        );
    }

    #[test]
    fn claimed_lengths_beyond_the_input_are_refused() {
        for bytes in [
            &[0xdd, 0xff, 0xff, 0xff, 0xff][..],
            &[0xdf, 0xff, 0xff, 0xff, 0xff],
            &[0xdb, 0xff, 0xff, 0xff, 0xff, b'a'],
            &[0xc6, 0xff, 0xff, 0xff, 0xff, 0],
            &[0xc9, 0xff, 0xff, 0xff, 0xff, 0],
            &[0x92, 0x01],
            &[],
        ] {
            assert_eq!(
                Reader::new(bytes).skip(0),
                Err(Malformed::End),
                "{bytes:x?}"
            );
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| {
            let mut bytes = vec![0x91; levels];
            bytes.push(0xc0);
            Reader::new(&bytes).skip(0)
        };
        assert_eq!(nested(64), Ok(()));
        assert_eq!(nested(65), Err(Malformed::TooDeep));
        assert_eq!(nested(10_000_000), Err(Malformed::TooDeep));
    }

    #[test]
    fn the_unused_code_is_refused() {
        assert_eq!(
            Reader::new(&[0xc1]).skip(0),
            Err(Malformed::Unexpected(0xc1))
        );
    }
}
