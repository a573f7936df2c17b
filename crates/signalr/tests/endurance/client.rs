//! A well-formed client on a raw socket, up to where a test goes its own way.

use std::net::SocketAddr;

use signalr::ConnectionId;
use tokio::net::{TcpSocket, TcpStream};

use crate::peer::{CLOSE, Peer, TEXT, member};

pub(crate) const JSON: &[u8] = b"{\"protocol\":\"json\",\"version\":1}\x1e";
pub(crate) const MESSAGEPACK: &[u8] = b"{\"protocol\":\"messagepack\",\"version\":1}\x1e";

/// A socket that takes little in, so that one that does not read is soon full.
pub(crate) async fn narrow(address: SocketAddr) -> Peer {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    Peer::over(socket.connect(address).await.unwrap())
}

pub(crate) async fn wide(address: SocketAddr) -> Peer {
    Peer::over(TcpStream::connect(address).await.unwrap())
}

/// Ends a socket with a reset, as a crash or a dying network does.
pub(crate) fn reset(peer: Peer) {
    let _ = peer.socket.set_zero_linger();
}

/// A negotiated connection: its id and its token.
pub(crate) async fn negotiate(address: SocketAddr) -> (ConnectionId, String) {
    let mut peer = wide(address).await;
    let request =
        "POST /hub/negotiate?negotiateVersion=1 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    let answer = peer.ask(request).await;
    let id = ConnectionId::parse(member(&answer.body, "connectionId")).unwrap();
    (id, member(&answer.body, "connectionToken").to_owned())
}

/// Opens a WebSocket; its handshake is the caller's.
pub(crate) async fn upgrade(mut peer: Peer, query: &str) -> Peer {
    peer.write(format!(
        "GET /hub{query} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ))
    .await;
    assert_eq!(peer.head().await.unwrap().0, 101);
    peer
}

/// A WebSocket whose handshake is done.
pub(crate) async fn shaken(peer: Peer, query: &str, handshake: &[u8]) -> Peer {
    let mut peer = upgrade(peer, query).await;
    peer.send(TEXT, handshake).await;
    assert_eq!(peer.frame().await.unwrap().1, b"{}\x1e");
    peer
}

/// Sends hub messages by POST.
pub(crate) async fn post(address: SocketAddr, token: &str, body: &[u8]) -> u16 {
    let mut peer = wide(address).await;
    let head = format!(
        "POST /hub?id={token} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    peer.ask([head.as_bytes(), body].concat()).await.status
}

/// The request that opens an event stream, or polls.
pub(crate) fn get(token: &str, accept: &str) -> String {
    format!("GET /hub?id={token} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\n\r\n")
}

/// An invocation with one argument, as JSON.
pub(crate) fn invocation(id: &str, target: &str, argument: &str) -> Vec<u8> {
    format!(
        "{{\"type\":1,\"invocationId\":\"{id}\",\"target\":\"{target}\",\
         \"arguments\":[{argument}]}}\x1e"
    )
    .into_bytes()
}

/// What still comes until the socket ends, pings left out: the hub messages as
/// text, and the close frame's code.
pub(crate) async fn rest(peer: &mut Peer) -> String {
    let mut seen = String::new();
    while let Some((first, payload)) = peer.frame().await {
        if first == CLOSE {
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            seen.push_str(&code.to_string());
            // A client that is still there answers the close frame.
            peer.send(CLOSE, &payload).await;
            peer.end().await;
            return seen;
        }
        let text = String::from_utf8_lossy(&payload).replace('\x1e', " ");
        seen.push_str(&text.replace("{\"type\":6} ", ""));
    }
    seen
}
