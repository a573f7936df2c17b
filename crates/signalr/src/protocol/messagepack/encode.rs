//! The few MessagePack items that a hub message consists of, each in its
//! shortest form.

pub(in crate::protocol) fn write_array_len(out: &mut Vec<u8>, len: usize) {
    match u16::try_from(len) {
        Ok(len @ ..16) => out.push(0x90 | len.to_le_bytes()[0]),
        Ok(len) => put(out, 0xdc, len.to_be_bytes()),
        Err(_) => put(out, 0xdd, capped(len).to_be_bytes()),
    }
}

pub(super) fn write_str(out: &mut Vec<u8>, text: &str) {
    let len = text.len();
    match u16::try_from(len) {
        Ok(len @ ..32) => out.push(0xa0 | len.to_le_bytes()[0]),
        Ok(len @ ..256) => out.extend_from_slice(&[0xd9, len.to_le_bytes()[0]]),
        Ok(len) => put(out, 0xda, len.to_be_bytes()),
        Err(_) => put(out, 0xdb, capped(len).to_be_bytes()),
    }
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn write_integer(out: &mut Vec<u8>, value: i64) {
    rmp::encode::write_sint(out, value).expect("a vector takes every byte");
}

pub(super) fn write_empty_map(out: &mut Vec<u8>) {
    out.push(0x80);
}

pub(super) fn write_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

pub(super) fn write_boolean(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

fn put<const N: usize>(out: &mut Vec<u8>, code: u8, length: [u8; N]) {
    out.push(code);
    out.extend_from_slice(&length);
}

/// What does not fit does not fit into a message either, which is refused.
fn capped(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_their_shortest_form() {
        for len in [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            write_array_len(&mut ours, len);
            rmp::encode::write_array_len(&mut theirs, u32::try_from(len).unwrap()).unwrap();
            write_str(&mut ours, &"x".repeat(len));
            rmp::encode::write_str(&mut theirs, &"x".repeat(len)).unwrap();
            assert_eq!(ours, theirs, "{len}");
        }
    }
}
