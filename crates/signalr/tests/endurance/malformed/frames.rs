//! Clients that break RFC 6455, or flood with it.

use super::kinds::{Kind, closed, kind, still_answers, survived};
use super::messages::CLOSED;
use crate::client::{JSON, invocation, reset, shaken, upgrade, wide};
use crate::peer::{BINARY, CLOSE, TEXT, masked};

const PING: u8 = 0x89;

pub(super) fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        closed("a frame without a mask", b"\x81\x03{}\x1e".to_vec(), "1002"),
        closed("a reserved opcode", masked(0x83, b"x"), "1002"),
        closed("a reserved control opcode", masked(0x8b, b"x"), "1002"),
        closed("a reserved bit", masked(0xc1, b"x"), "1002"),
        closed("text that is not UTF-8", masked(TEXT, b"\xff"), "1007"),
        closed(
            "text that ends inside a character",
            masked(TEXT, b"\xc3"),
            "1007",
        ),
        closed("a ping of 126 bytes", masked(PING, &[0; 126]), "1002"),
        closed("a ping in fragments", masked(0x09, b"x"), "1002"),
        closed("a continuation of nothing", masked(0x80, b"x"), "1002"),
        closed(
            "a message inside a message",
            [masked(0x01, b"x"), masked(TEXT, b"x")].concat(),
            "1002",
        ),
        closed("a length with its highest bit set", vast(0x80), "1002"),
        closed(
            "a close code that must not be sent",
            masked(CLOSE, b"\x03\xe7"),
            "1002",
        ),
        closed("half a close code", masked(CLOSE, b"\x03"), "1002"),
        closed(
            "a close reason that is not UTF-8",
            masked(CLOSE, b"\x03\xe8\xff"),
            "1007",
        ),
    ];
    kinds.extend([
        closed("a frame of a terabyte", vast(0x00), CLOSED),
        closed("a flood of fragments", fragments(), CLOSED),
        survived("a flood of pings", masked(PING, b"flood").repeat(2_000)),
        survived("a flood of empty frames", masked(TEXT, b"").repeat(2_000)),
        kind("every byte by itself", "alive", |address| async move {
            let mut peer = upgrade(wide(address).await, "").await;
            for byte in masked(TEXT, JSON) {
                peer.write([byte]).await;
            }
            for byte in masked(TEXT, &invocation("1", "Echo", "\"slow\"")) {
                peer.write([byte]).await;
                tokio::task::yield_now().await;
            }
            still_answers(peer).await
        }),
        kind(
            "a reset in the middle of a frame",
            "reset",
            |address| async move {
                let mut peer = shaken(wide(address).await, "", JSON).await;
                let frame = masked(TEXT, &invocation("1", "Echo", "\"never\""));
                peer.write(&frame[..frame.len() / 2]).await;
                reset(peer);
                "reset".to_owned()
            },
        ),
    ]);
    kinds
}

/// A frame whose length begins with a byte and goes on to a terabyte, and as
/// much of it as is too much.
fn vast(first: u8) -> Vec<u8> {
    let mut frame = vec![BINARY, 0xff, first, 0, 1, 0, 0, 0, 0, 0];
    frame.extend([0; 4]);
    frame.extend([b'x'; 40_000]);
    frame
}

/// A message in fragments of one byte, beyond the limit.
fn fragments() -> Vec<u8> {
    let mut flood = masked(0x01, b"{");
    flood.extend(masked(0x00, b" ").repeat(33_000));
    flood
}
