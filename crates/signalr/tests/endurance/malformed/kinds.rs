//! The table's rows: a name, what the client does, and the end it comes to.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use super::{frames, messages, requests};
use crate::client::{JSON, MESSAGEPACK, invocation, reset, rest, shaken, wide};
use crate::peer::{Peer, TEXT};

type Ended = Pin<Box<dyn Future<Output = String> + Send>>;

/// One kind of malformed client.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// What the server tells it, as text.
    pub(super) end: &'static str,
    pub(super) client: Box<dyn Fn(SocketAddr) -> Ended + Send + Sync>,
}

pub(super) fn all() -> Vec<Kind> {
    let mut all = frames::kinds();
    all.extend(messages::kinds());
    all.extend(requests::kinds());
    all
}

/// Any client.
pub(super) fn kind<F>(
    name: &'static str,
    end: &'static str,
    client: impl Fn(SocketAddr) -> F + Send + Sync + 'static,
) -> Kind
where
    F: Future<Output = String> + Send + 'static,
{
    Kind {
        name,
        end,
        client: Box::new(move |address| Box::pin(client(address))),
    }
}

/// Sends bytes on a WebSocket after its handshake, and sees how that ends.
pub(super) fn closed(name: &'static str, bytes: Vec<u8>, end: &'static str) -> Kind {
    shaken_and_closed(name, JSON, bytes, end)
}

/// The same with the MessagePack protocol.
pub(super) fn closed_binary(name: &'static str, bytes: Vec<u8>, end: &'static str) -> Kind {
    shaken_and_closed(name, MESSAGEPACK, bytes, end)
}

fn shaken_and_closed(
    name: &'static str,
    handshake: &'static [u8],
    bytes: Vec<u8>,
    end: &'static str,
) -> Kind {
    kind(name, end, move |address| {
        let bytes = bytes.clone();
        async move {
            let mut peer = shaken(wide(address).await, "", handshake).await;
            peer.write(bytes).await;
            rest(&mut peer).await
        }
    })
}

/// Sends bytes after which the connection must still work, and then resets it.
pub(super) fn survived(name: &'static str, bytes: Vec<u8>) -> Kind {
    kind(name, "alive", move |address| {
        let bytes = bytes.clone();
        async move {
            let mut peer = shaken(wide(address).await, "", JSON).await;
            peer.write(bytes).await;
            still_answers(peer).await
        }
    })
}

/// Whether an invocation is still answered; the socket is reset afterwards.
pub(super) async fn still_answers(mut peer: Peer) -> String {
    peer.send(TEXT, &invocation("last", "Echo", "\"here\""))
        .await;
    let mut text = String::new();
    while !text.contains("\"invocationId\":\"last\",\"result\":\"here\"") {
        let Some((_, payload)) = peer.frame().await else {
            return format!("closed after {text}");
        };
        text.push_str(&String::from_utf8_lossy(&payload));
    }
    reset(peer);
    "alive".to_owned()
}
