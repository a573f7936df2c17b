//! The nine messages as bytes, always with all the items that ASP.NET Core
//! writes. A message that cannot be written leaves the buffer as it was.

use serde::Serialize;

use super::encode::{
    write_array_len, write_boolean, write_empty_map, write_integer, write_nil, write_str,
};
use super::frame;
use super::value::write_value;
use crate::protocol::{Arguments, WriteError};

/// How a Completion's last item is to be read.
const ERROR_RESULT: i64 = 1;
const VOID_RESULT: i64 = 2;
const VALUE_RESULT: i64 = 3;

pub(in crate::protocol) fn write_invocation<A: Arguments + ?Sized>(
    out: &mut Vec<u8>,
    kind: u8,
    invocation_id: Option<&str>,
    target: &str,
    arguments: &A,
    stream_ids: &[&str],
) -> Result<(), WriteError> {
    frame::append(out, |out| {
        open(out, 6, kind);
        write_empty_map(out);
        write_optional(out, invocation_id);
        write_str(out, target);
        arguments.write_messagepack(out)?;
        write_array_len(out, stream_ids.len());
        stream_ids.iter().for_each(|id| write_str(out, id));
        Ok(())
    })
}

pub(in crate::protocol) fn write_stream_item<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    invocation_id: &str,
    item: &T,
) -> Result<(), WriteError> {
    frame::append(out, |out| {
        open_with_id(out, 4, 2, invocation_id);
        write_value(out, item)
    })
}

pub(in crate::protocol) fn write_result<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    invocation_id: &str,
    result: &T,
) -> Result<(), WriteError> {
    frame::append(out, |out| {
        open_with_id(out, 5, 3, invocation_id);
        write_integer(out, VALUE_RESULT);
        write_value(out, result)
    })
}

pub(in crate::protocol) fn write_end(out: &mut Vec<u8>, invocation_id: &str, error: Option<&str>) {
    plain(out, |out| match error {
        Some(error) => {
            open_with_id(out, 5, 3, invocation_id);
            write_integer(out, ERROR_RESULT);
            write_str(out, error);
        }
        None => {
            open_with_id(out, 4, 3, invocation_id);
            write_integer(out, VOID_RESULT);
        }
    });
}

pub(in crate::protocol) fn write_cancel_invocation(out: &mut Vec<u8>, invocation_id: &str) {
    plain(out, |out| open_with_id(out, 3, 5, invocation_id));
}

pub(in crate::protocol) fn write_close(
    out: &mut Vec<u8>,
    error: Option<&str>,
    allow_reconnect: bool,
) {
    plain(out, |out| {
        open(out, 3, 7);
        write_optional(out, error);
        write_boolean(out, allow_reconnect);
    });
}

/// An Ack (8) or a Sequence (9).
pub(in crate::protocol) fn write_sequence_id(out: &mut Vec<u8>, kind: u8, sequence_id: i64) {
    plain(out, |out| {
        open(out, 2, kind);
        write_integer(out, sequence_id);
    });
}

fn plain(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    frame::append(out, |out| {
        write(out);
        Ok(())
    })
    .expect("ids and error texts are far below 2 GB");
}

fn open(out: &mut Vec<u8>, items: usize, kind: u8) {
    write_array_len(out, items);
    write_integer(out, i64::from(kind));
}

fn open_with_id(out: &mut Vec<u8>, items: usize, kind: u8, invocation_id: &str) {
    open(out, items, kind);
    write_empty_map(out);
    write_str(out, invocation_id);
}

/// Empty and absent are the same, nil.
fn write_optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) if !text.is_empty() => write_str(out, text),
        _ => write_nil(out),
    }
}

#[cfg(test)]
mod tests {
    use crate::protocol::HubProtocol;

    const PACK: HubProtocol = HubProtocol::MessagePack;

    fn bytes(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn messages_have_all_their_items() {
        assert_eq!(
            bytes(|out| PACK
                .write_invocation(out, None, "Msg", &("a", 1), &[])
                .unwrap()),
            b"\x0d\x96\x01\x80\xc0\xa3Msg\x92\xa1a\x01\x90"
        );
        assert_eq!(
            bytes(|out| PACK
                .write_invocation(out, Some("s1"), "M", &(), &["u"])
                .unwrap()),
            b"\x0c\x96\x01\x80\xa2s1\xa1M\x90\x91\xa1u"
        );
        assert_eq!(
            bytes(|out| PACK
                .write_stream_invocation(out, "1", "S", &(2,), &[])
                .unwrap()),
            b"\x0a\x96\x04\x80\xa11\xa1S\x91\x02\x90"
        );
        assert_eq!(
            bytes(|out| PACK.write_stream_item(out, "1", &"x").unwrap()),
            b"\x07\x94\x02\x80\xa11\xa1x"
        );
        assert_eq!(
            bytes(|out| PACK.write_result(out, "1", &()).unwrap()),
            b"\x07\x95\x03\x80\xa11\x03\xc0"
        );
        assert_eq!(
            bytes(|out| PACK.write_end(out, "1", None)),
            b"\x06\x94\x03\x80\xa11\x02"
        );
        assert_eq!(
            bytes(|out| PACK.write_end(out, "1", Some("e"))),
            b"\x08\x95\x03\x80\xa11\x01\xa1e"
        );
        assert_eq!(
            bytes(|out| PACK.write_cancel_invocation(out, "1")),
            b"\x05\x93\x05\x80\xa11"
        );
        assert_eq!(PACK.ping(), [0x02, 0x91, 0x06]);
        assert_eq!(
            bytes(|out| PACK.write_close(out, None, false)),
            b"\x04\x93\x07\xc0\xc2"
        );
        assert_eq!(
            bytes(|out| PACK.write_close(out, Some("e"), true)),
            b"\x05\x93\x07\xa1e\xc3"
        );
        assert_eq!(bytes(|out| PACK.write_ack(out, 3)), b"\x03\x92\x08\x03");
        assert_eq!(
            bytes(|out| PACK.write_sequence(out, 300)),
            b"\x05\x92\x09\xcd\x01\x2c"
        );
    }
}
