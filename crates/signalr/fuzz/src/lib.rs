//! What must hold for any input, as functions that panic where it does not.
//!
//! The fuzz targets call them with what the fuzzer invents; `tests/corpus`
//! of the crate calls them with the inputs that are kept, on every test run.

pub mod messages;
pub mod handshake;
pub mod frames;
pub mod connection;

/// Cuts `input` into pieces, as `seed` says; 0 cuts before every byte of a
/// short one.
fn cut(mut input: &[u8], seed: u8) -> Vec<&[u8]> {
    let pieces = if seed == 0 { 64 } else { 12 };
    let mut state = u32::from(seed).wrapping_mul(0x9e37_79b9) | 1;
    let mut cut = Vec::new();
    while cut.len() < pieces && input.len() > 1 {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let length = match seed {
            0 => 1,
            _ => 1 + state as usize % (input.len() / 2 + 8),
        };
        let (piece, rest) = input.split_at(length.min(input.len()));
        cut.push(piece);
        input = rest;
    }
    if !input.is_empty() {
        cut.push(input);
    }
    cut
}
