//! Clients whose frames are right and whose messages are not.

use super::kinds::{Kind, closed, closed_binary, kind, still_answers, survived};
use crate::client::{JSON, invocation, rest, shaken, upgrade, wide};
use crate::peer::{TEXT, masked};

/// What a client is told that broke the hub protocol.
pub(super) const CLOSED: &str =
    "{\"type\":7,\"error\":\"Connection closed with an error.\",\"allowReconnect\":true} 1000";
const CLOSED_BINARY: &str = "%\u{fffd}\u{7}\u{fffd} Connection closed with an error.\u{fffd}1000";
const NO_HANDSHAKE: &str =
    "{\"error\":\"An unexpected error occurred during connection handshake.\"} 1000";
const CANCELED: &str = "{\"error\":\"Handshake was canceled.\"} 1000";

pub(super) fn kinds() -> Vec<Kind> {
    let mut kinds = handshakes();
    kinds.extend(broken_json());
    kinds.extend(broken_messagepack());
    kinds.extend(floods());
    kinds
}

/// Sends a frame in place of a handshake.
fn no_handshake(name: &'static str, payload: Vec<u8>, end: &'static str) -> Kind {
    kind(name, end, move |address| {
        let frame = masked(TEXT, &payload);
        async move {
            let mut peer = upgrade(wide(address).await, "").await;
            peer.write(frame).await;
            rest(&mut peer).await
        }
    })
}

fn handshakes() -> Vec<Kind> {
    vec![
        kind(
            "a handshake that never comes",
            CANCELED,
            |address| async move {
                let mut peer = upgrade(wide(address).await, "").await;
                rest(&mut peer).await
            },
        ),
        no_handshake("a handshake without an end", vec![b'x'; 33_000], CANCELED),
        no_handshake(
            "a handshake that is no JSON",
            b"hello\x1e".to_vec(),
            NO_HANDSHAKE,
        ),
        no_handshake(
            "a hub method before the handshake",
            invocation("1", "Echo", "\"early\""),
            NO_HANDSHAKE,
        ),
        no_handshake(
            "a protocol of nobody",
            b"{\"protocol\":\"xml\",\"version\":1}\x1e".to_vec(),
            "{\"error\":\"The protocol 'xml' is not supported.\"} 1000",
        ),
        no_handshake(
            "a version of the future",
            b"{\"protocol\":\"json\",\"version\":99}\x1e".to_vec(),
            "{\"error\":\"The server does not support version 99 of the 'json' protocol.\"} 1000",
        ),
    ]
}

fn broken_json() -> Vec<Kind> {
    let text = |payload: &[u8]| masked(TEXT, payload);
    let deep = ["[".repeat(1_000), "]".repeat(1_000)].concat();
    vec![
        closed("a message over the limit", text(&[b'x'; 33_000]), CLOSED),
        closed("a message that is no JSON", text(b"{hello}\x1e"), CLOSED),
        closed("a list as a message", text(b"[1]\x1e"), CLOSED),
        closed(
            "a type that is no number",
            text(b"{\"type\":\"1\"}\x1e"),
            CLOSED,
        ),
        closed(
            "an invocation without a target",
            text(b"{\"type\":1,\"arguments\":[]}\x1e"),
            CLOSED,
        ),
        closed(
            "a separator inside a string",
            text(&invocation("1", "Echo", "\"a\x1eb\"")),
            CLOSED,
        ),
        closed(
            "an argument a thousand lists deep",
            text(&invocation("1", "Echo", &deep)),
            CLOSED,
        ),
        closed(
            "a message of brackets",
            text(&[&[b'['; 30_000][..], b"\x1e"].concat()),
            CLOSED,
        ),
        closed(
            "a lone surrogate in a target",
            text(b"{\"type\":1,\"target\":\"\\ud800\",\"arguments\":[]}\x1e"),
            CLOSED,
        ),
    ]
}

fn broken_messagepack() -> Vec<Kind> {
    let framed = |body: &[u8]| {
        let mut message = Vec::new();
        let mut length = body.len();
        while length > 0x7f {
            message.push(0x80 | (length & 0x7f) as u8);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend(body);
        masked(0x82, &message)
    };
    // An invocation up to its arguments.
    let start = b"\x95\x01\x80\xa11\xa4Echo";
    let with = |arguments: &[u8]| framed(&[start, arguments].concat());
    vec![
        closed_binary(
            "an argument ten thousand arrays deep",
            with(&[&[0x91; 10_000][..], b"\xc0"].concat()),
            CLOSED_BINARY,
        ),
        closed_binary(
            "four billion arguments",
            with(b"\xdd\xff\xff\xff\xff\x01"),
            CLOSED_BINARY,
        ),
        closed_binary(
            "a text of four gigabytes",
            with(b"\x91\xdb\xff\xff\xff\xffx"),
            CLOSED_BINARY,
        ),
        closed_binary(
            "a length without an end",
            masked(0x82, &[0x80; 6]),
            CLOSED_BINARY,
        ),
        closed_binary(
            "the byte that means nothing",
            framed(b"\xc1"),
            CLOSED_BINARY,
        ),
        closed_binary("a map as a message", framed(b"\x81\x01\x02"), CLOSED_BINARY),
    ]
}

fn floods() -> Vec<Kind> {
    let many = |message: &[u8]| masked(TEXT, &message.repeat(500));
    vec![
        kind(
            "a thousand messages in a frame",
            "1000 answers, alive",
            |address| async move {
                let mut peer = shaken(wide(address).await, "", JSON).await;
                let echoes = b"{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"\"]}\x1e";
                peer.send(TEXT, &echoes.repeat(1_000)).await;
                let mut answers = 0;
                while answers < 1_000 {
                    let Some((_, payload)) = peer.frame().await else {
                        return format!("closed after {answers}");
                    };
                    answers += payload.iter().filter(|byte| **byte == 0x1e).count();
                }
                format!("{answers} answers, {}", still_answers(peer).await)
            },
        ),
        survived("messages of types that are not", many(b"{\"type\":42}\x1e")),
        survived(
            "items of streams that are not",
            many(b"{\"type\":2,\"invocationId\":\"no\",\"item\":1}\x1e"),
        ),
        survived(
            "answers to what nobody asked",
            many(b"{\"type\":3,\"invocationId\":\"no\",\"result\":1}\x1e"),
        ),
        survived(
            "calls of methods that are not",
            many(b"{\"type\":1,\"target\":\"No\",\"arguments\":[]}\x1e"),
        ),
        survived(
            "arguments that do not fit",
            many(b"{\"type\":1,\"target\":\"Echo\",\"arguments\":[1,2]}\x1e"),
        ),
        kind(
            "more streams than may run",
            "{\"type\":7,\"error\":\"More than 1000 invocations are under way.\"} 1000",
            |address| async move {
                let mut peer = shaken(wide(address).await, "", JSON).await;
                let mut streams = Vec::new();
                for id in 0..1_001 {
                    streams.extend(format!("{{\"type\":4,\"invocationId\":\"{id}\",\"target\":\"Forever\",\"arguments\":[]}}\x1e").bytes());
                }
                peer.send(TEXT, &streams).await;
                rest(&mut peer).await
            },
        ),
    ]
}
