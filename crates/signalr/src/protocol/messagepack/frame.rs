//! The length before each message: seven bits a byte, the lowest first.

use crate::protocol::{ProtocolError, WriteError};

/// The longest prefix: 31 bits.
const MAX_PREFIX: usize = 5;

/// What most messages need, so that their bytes need not be moved.
const USUAL_PREFIX: usize = 2;

/// The first message of the input and its length with the prefix, or none
/// while it is not all there.
pub(super) fn split(input: &[u8]) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    let mut length = 0;
    for (index, byte) in input.iter().take(MAX_PREFIX).enumerate() {
        let last = index + 1 == MAX_PREFIX;
        if last && *byte > 0x07 {
            return Err(ProtocolError {
                exception: "FormatException",
                message: "Messages over 2GB in size are not supported.".to_owned(),
            });
        }
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let start = index + 1;
            let message = input.get(start..).and_then(|rest| rest.get(..length));
            return Ok(message.map(|message| (message, start + length)));
        }
    }
    Ok(None)
}

/// Appends what `write` writes with its length before it, or nothing when it
/// fails.
pub(super) fn append(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let start = out.len();
    out.extend_from_slice(&[0; USUAL_PREFIX]);
    let body = out.len();
    let written = write(out).and_then(|()| {
        i32::try_from(out.len() - body)
            .map_err(|_| WriteError::Value("a message cannot be over 2 GB".to_owned()))
    });
    match written {
        Ok(length) => put_prefix(out, start, length.unsigned_abs()),
        Err(error) => {
            out.truncate(start);
            return Err(error);
        }
    }
    Ok(())
}

fn put_prefix(out: &mut Vec<u8>, start: usize, mut length: u32) {
    let mut prefix = [0; MAX_PREFIX];
    let mut used = 0;
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        prefix[used] = if length == 0 { low & 0x7f } else { low | 0x80 };
        used += 1;
        if length == 0 {
            break;
        }
    }
    out.splice(start..start + USUAL_PREFIX, prefix[..used].iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(length: usize) -> Vec<u8> {
        let mut out = vec![0xee];
        append(&mut out, |out| {
            out.resize(out.len() + length, 0xaa);
            Ok(())
        })
        .unwrap();
        out.split_off(1)
    }

    #[test]
    fn every_length_of_prefix_is_written_and_read() {
        for (length, prefix) in [
            (0, &[0x00][..]),
            (1, &[0x01]),
            (127, &[0x7f]),
            (128, &[0x80, 0x01]),
            (16_383, &[0xff, 0x7f]),
            (16_384, &[0x80, 0x80, 0x01]),
            (3_000_000, &[0xc0, 0x8d, 0xb7, 0x01]),
        ] {
            let framed = framed(length);
            assert_eq!(&framed[..prefix.len()], prefix);
            let (message, consumed) = split(&framed).unwrap().unwrap();
            assert_eq!((message.len(), consumed), (length, framed.len()));
            assert!(message.iter().all(|byte| *byte == 0xaa));
            assert_eq!(split(&framed[..framed.len() - 1]), Ok(None));
        }
    }

    #[test]
    fn lengths_beyond_31_bits_are_refused() {
        assert_eq!(split(&[0xff, 0xff, 0xff, 0xff, 0x07]), Ok(None));
        for prefix in [
            [0xff, 0xff, 0xff, 0xff, 0x08],
            [0xff; 5],
            [0x80, 0x80, 0x80, 0x80, 0x80],
        ] {
            let error = split(&prefix).unwrap_err();
            assert_eq!(error.exception, "FormatException");
            assert_eq!(
                error.message,
                "Messages over 2GB in size are not supported."
            );
        }
        assert_eq!(split(&[0xff; 4]), Ok(None));
    }

    #[test]
    fn a_body_that_fails_leaves_nothing_behind() {
        let mut out = vec![1];
        let result = append(&mut out, |out| {
            out.push(2);
            Err(WriteError::Value(String::new()))
        });
        assert!(result.is_err());
        assert_eq!(out, [1]);
    }
}
