//! How far a text goes on without a byte that needs attention, eight bytes at
//! a time: most of every message is such text.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The length of the run that a JSON string takes as it is: up to a quotation
/// mark, a backslash or a control character.
pub(super) fn literal_run(text: &[u8]) -> usize {
    run(text, ends_string)
}

/// The length of the run that is also written as it is: that without anything
/// beyond ASCII either, nor U+007F.
pub(super) fn ascii_run(text: &[u8]) -> usize {
    run(text, |bytes| {
        ends_string(bytes) | equal(bytes, 0x7f) | (bytes & HIGH_BITS)
    })
}

/// `marks` sets the high bit of each byte that ends the run. It may set those
/// of bytes above such a byte too: only the lowest counts.
fn run(text: &[u8], marks: impl Fn(u64) -> u64) -> usize {
    let mut rest = text;
    while let Some((chunk, after)) = rest.split_first_chunk() {
        let marked = marks(u64::from_le_bytes(*chunk));
        if marked != 0 {
            return text.len() - rest.len() + first(marked);
        }
        rest = after;
    }
    // Spaces are no end, so the missing bytes end nothing.
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    let marked = marks(u64::from_le_bytes(last));
    let in_rest = if marked == 0 {
        rest.len()
    } else {
        first(marked)
    };
    text.len() - rest.len() + in_rest
}

fn ends_string(bytes: u64) -> u64 {
    equal(bytes, b'"') | equal(bytes, b'\\') | below_space(bytes)
}

fn equal(bytes: u64, byte: u8) -> u64 {
    let differing = bytes ^ (ONES * u64::from(byte));
    differing.wrapping_sub(ONES) & !differing & HIGH_BITS
}

fn below_space(bytes: u64) -> u64 {
    bytes.wrapping_sub(ONES * u64::from(b' ')) & !bytes & HIGH_BITS
}

/// The index of the lowest byte that is marked.
fn first(marked: u64) -> usize {
    (marked.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_at_every_byte_that_needs_attention() {
        for length in 0..20 {
            for byte in 0..=u8::MAX {
                let mut text = vec![b'a'; length];
                text.push(byte);
                text.extend_from_slice(b"abcdefghij\"");
                let to_the_quote = length + 11;
                let ends = byte < 0x20 || byte == b'"' || byte == b'\\';
                let expected = if ends { length } else { to_the_quote };
                assert_eq!(literal_run(&text), expected, "{byte:#x} at {length}");
                let expected = if ends || byte >= 0x7f {
                    length
                } else {
                    to_the_quote
                };
                assert_eq!(ascii_run(&text), expected, "{byte:#x} at {length}");
            }
            assert_eq!(literal_run(&vec![b'a'; length]), length);
        }
    }
}
