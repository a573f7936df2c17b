//! The nine messages as text, members in ASP.NET Core's order. A message that
//! cannot be written leaves the buffer as it was.

use serde::Serialize;

use super::RECORD_SEPARATOR;
use super::escape::write_string;
use super::value::write_value;
use crate::protocol::{Arguments, WriteError};

pub(in crate::protocol) fn write_invocation<A: Arguments + ?Sized>(
    out: &mut Vec<u8>,
    kind: u8,
    invocation_id: Option<&str>,
    target: &str,
    arguments: &A,
    stream_ids: &[&str],
) -> Result<(), WriteError> {
    message(out, kind, |out| {
        write_invocation_id(out, invocation_id.unwrap_or_default());
        out.extend_from_slice(br#","target":"#);
        write_string(out, target);
        out.extend_from_slice(br#","arguments":"#);
        arguments.write_json(out)?;
        write_stream_ids(out, stream_ids);
        Ok(())
    })
}

pub(in crate::protocol) fn write_stream_item<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    invocation_id: &str,
    item: &T,
) -> Result<(), WriteError> {
    message(out, 2, |out| {
        write_invocation_id(out, invocation_id);
        out.extend_from_slice(br#","item":"#);
        write_value(out, item)
    })
}

pub(in crate::protocol) fn write_result<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    invocation_id: &str,
    result: &T,
) -> Result<(), WriteError> {
    message(out, 3, |out| {
        write_invocation_id(out, invocation_id);
        out.extend_from_slice(br#","result":"#);
        write_value(out, result)
    })
}

/// An empty error is not written, so that the completion says success: this is
/// what ASP.NET Core does.
pub(in crate::protocol) fn write_end(out: &mut Vec<u8>, invocation_id: &str, error: Option<&str>) {
    open(out, 3);
    write_invocation_id(out, invocation_id);
    write_error(out, error.filter(|error| !error.is_empty()));
    close(out);
}

pub(in crate::protocol) fn write_cancel_invocation(out: &mut Vec<u8>, invocation_id: &str) {
    open(out, 5);
    write_invocation_id(out, invocation_id);
    close(out);
}

pub(in crate::protocol) fn write_close(
    out: &mut Vec<u8>,
    error: Option<&str>,
    allow_reconnect: bool,
) {
    open(out, 7);
    write_error(out, error);
    if allow_reconnect {
        out.extend_from_slice(br#","allowReconnect":true"#);
    }
    close(out);
}

/// An Ack (8) or a Sequence (9).
pub(in crate::protocol) fn write_sequence_id(out: &mut Vec<u8>, kind: u8, sequence_id: i64) {
    open(out, kind);
    out.extend_from_slice(br#","sequenceId":"#);
    out.extend_from_slice(itoa::Buffer::new().format(sequence_id).as_bytes());
    close(out);
}

fn message(
    out: &mut Vec<u8>,
    kind: u8,
    members: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let start = out.len();
    open(out, kind);
    match members(out) {
        Ok(()) => close(out),
        Err(error) => {
            out.truncate(start);
            return Err(error);
        }
    }
    Ok(())
}

fn open(out: &mut Vec<u8>, kind: u8) {
    out.extend_from_slice(br#"{"type":"#);
    out.push(b'0' + kind);
}

fn close(out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'}', RECORD_SEPARATOR]);
}

fn write_invocation_id(out: &mut Vec<u8>, invocation_id: &str) {
    if !invocation_id.is_empty() {
        out.extend_from_slice(br#","invocationId":"#);
        write_string(out, invocation_id);
    }
}

fn write_error(out: &mut Vec<u8>, error: Option<&str>) {
    if let Some(error) = error {
        out.extend_from_slice(br#","error":"#);
        write_string(out, error);
    }
}

fn write_stream_ids(out: &mut Vec<u8>, stream_ids: &[&str]) {
    let mut separator: &[u8] = br#","streamIds":["#;
    for id in stream_ids {
        out.extend_from_slice(separator);
        write_string(out, id);
        separator = b",";
    }
    if !stream_ids.is_empty() {
        out.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use crate::protocol::{Arguments, HubProtocol, WriteError};

    const JSON: HubProtocol = HubProtocol::Json;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn invocation<A: Arguments>(id: Option<&str>, arguments: &A, streams: &[&str]) -> String {
        text(|out| {
            JSON.write_invocation(out, id, "Message", arguments, streams)
                .unwrap()
        })
    }

    #[test]
    fn messages_are_written_as_recorded() {
        let arguments = "{\"type\":1,\"target\":\"Message\",\"arguments\":";
        assert_eq!(
            invocation(None, &("welcome",), &[]),
            format!("{arguments}[\"welcome\"]}}\x1e")
        );
        assert_eq!(
            invocation(Some(""), &(), &[]),
            format!("{arguments}[]}}\x1e")
        );
        assert_eq!(
            invocation(Some("s1"), &[1, 2], &["a", "b"]),
            "{\"type\":1,\"invocationId\":\"s1\",\"target\":\"Message\",\"arguments\":[1,2],\
             \"streamIds\":[\"a\",\"b\"]}\x1e"
        );
        assert_eq!(
            text(|out| JSON
                .write_stream_invocation(out, "7", "Stream", &(2,), &[])
                .unwrap()),
            "{\"type\":4,\"invocationId\":\"7\",\"target\":\"Stream\",\"arguments\":[2]}\x1e"
        );
        assert_eq!(
            text(|out| JSON.write_stream_item(out, "1", &0).unwrap()),
            "{\"type\":2,\"invocationId\":\"1\",\"item\":0}\x1e"
        );
        assert_eq!(
            text(|out| JSON.write_result(out, "a\"b<>&\u{e9}", &"x").unwrap()),
            "{\"type\":3,\"invocationId\":\"a\\\"b<>&\u{e9}\",\"result\":\"x\"}\x1e"
        );
        assert_eq!(
            text(|out| JSON.write_result(out, "1", &()).unwrap()),
            "{\"type\":3,\"invocationId\":\"1\",\"result\":null}\x1e"
        );
    }

    #[test]
    fn ends_and_control_messages_are_written_as_recorded() {
        assert_eq!(
            text(|out| JSON.write_end(out, "1", None)),
            "{\"type\":3,\"invocationId\":\"1\"}\x1e"
        );
        assert_eq!(
            text(|out| JSON.write_end(out, "1", Some("Failed to invoke 'X'"))),
            "{\"type\":3,\"invocationId\":\"1\",\"error\":\"Failed to invoke 'X'\"}\x1e"
        );
        assert_eq!(
            text(|out| JSON.write_end(out, "1", Some(""))),
            "{\"type\":3,\"invocationId\":\"1\"}\x1e"
        );
        assert_eq!(
            text(|out| JSON.write_cancel_invocation(out, "1")),
            "{\"type\":5,\"invocationId\":\"1\"}\x1e"
        );
        assert_eq!(
            text(|out| out.extend_from_slice(JSON.ping())),
            "{\"type\":6}\x1e"
        );
        assert_eq!(
            text(|out| JSON.write_close(out, None, false)),
            "{\"type\":7}\x1e"
        );
        assert_eq!(
            text(|out| JSON.write_close(out, None, true)),
            "{\"type\":7,\"allowReconnect\":true}\x1e"
        );
        assert_eq!(
            text(|out| JSON.write_close(out, Some("Connection closed with an error."), true)),
            "{\"type\":7,\"error\":\"Connection closed with an error.\",\"allowReconnect\":true}\x1e"
        );
        assert_eq!(
            text(|out| JSON.write_ack(out, 3)),
            "{\"type\":8,\"sequenceId\":3}\x1e"
        );
        assert_eq!(
            text(|out| JSON.write_sequence(out, 1)),
            "{\"type\":9,\"sequenceId\":1}\x1e"
        );
    }

    #[test]
    fn a_message_that_cannot_be_written_leaves_nothing_behind() {
        let mut out = b"before".to_vec();
        let result: Result<(), WriteError> =
            JSON.write_invocation(&mut out, None, "Message", &("x", f64::NAN), &[]);
        assert!(result.is_err());
        assert!(JSON.write_result(&mut out, "1", &[f64::INFINITY]).is_err());
        assert_eq!(out, b"before");
    }
}
