//! Its WebSocket: the token in the header on a phone and in the query in a
//! browser, compression offered, messages with empty headers and stream ids.

use super::{text, token};
use crate::peer::{BINARY, CLOSE, Peer, TEXT};
use crate::server::Server;

/// A phone's upgrade, as `dart:io` writes it.
async fn connect(server: &Server, path: &str) -> Peer {
    let token = token(server, path).await;
    let request = format!(
        "GET {path}?id={token} HTTP/1.1\r\n\
         user-agent: Dart/3.9 (dart:io)\r\n\
         connection: Upgrade\r\n\
         cache-control: no-cache\r\n\
         accept-encoding: gzip\r\n\
         content-length: 0\r\n\
         authorization: Bearer alice\r\n\
         sec-websocket-version: 13\r\n\
         host: {}\r\n\
         sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         upgrade: websocket\r\n\r\n",
        server.address
    );
    upgrade(server, &request).await
}

async fn upgrade(server: &Server, request: &str) -> Peer {
    let mut peer = server.peer().await;
    peer.write(request).await;
    let (status, head) = peer.head().await.unwrap();
    assert_eq!(status, 101, "{head}");
    // RFC 6455, section 1.3: the answer to just this key.
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="));
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
    peer
}

/// The next frame but for pings: it must be text that ends with the separator.
async fn next(peer: &mut Peer) -> String {
    loop {
        let (first, payload) = peer.frame().await.unwrap();
        assert_eq!(first, TEXT);
        let text = String::from_utf8(payload).unwrap();
        // The client closes at a frame that does not.
        let message = text.strip_suffix('\x1e').unwrap().to_owned();
        if message != "{\"type\":6}" {
            return message;
        }
    }
}

async fn say(peer: &mut Peer, json: &str) {
    peer.send(TEXT, &text(json)).await;
}

async fn shake_hands(peer: &mut Peer) {
    say(peer, "{\"protocol\":\"json\",\"version\":1}").await;
    assert_eq!(next(peer).await, "{}");
}

#[tokio::test]
async fn invocations_events_and_streams_on_a_phone() {
    let server = Server::start().await;
    let mut peer = connect(&server, "/golden-auth").await;
    shake_hands(&mut peer).await;
    say(&mut peer, "{\"type\":6}").await;
    say(
        &mut peer,
        "{\"type\":1,\"headers\":{},\"invocationId\":\"0\",\"target\":\"UserOfMe\",\
         \"arguments\":[],\"streamIds\":[]}",
    )
    .await;
    assert_eq!(
        next(&mut peer).await,
        "{\"type\":3,\"invocationId\":\"0\",\"result\":\"alice\"}"
    );
    // `send` leaves the id away.
    say(
        &mut peer,
        "{\"type\":1,\"headers\":{},\"target\":\"SendCaller\",\"arguments\":[\"Растение\"],\
         \"streamIds\":[]}",
    )
    .await;
    assert_eq!(
        next(&mut peer).await,
        "{\"type\":1,\"target\":\"Message\",\"arguments\":[\"Растение\"]}"
    );
    say(
        &mut peer,
        "{\"type\":4,\"headers\":{},\"invocationId\":\"1\",\"target\":\"Stream\",\
         \"arguments\":[2],\"streamIds\":[]}",
    )
    .await;
    let mut streamed = String::new();
    while !streamed.contains("\"type\":3") {
        streamed.push_str(&next(&mut peer).await);
    }
    let items = "{\"type\":2,\"invocationId\":\"1\",\"item\":0}\
                 {\"type\":2,\"invocationId\":\"1\",\"item\":1}\
                 {\"type\":3,\"invocationId\":\"1\"}";
    assert_eq!(streamed.replace('\x1e', ""), items);
    say(
        &mut peer,
        "{\"type\":4,\"headers\":{},\"invocationId\":\"2\",\"target\":\"StreamForever\",\
         \"arguments\":[],\"streamIds\":[]}",
    )
    .await;
    assert_eq!(
        next(&mut peer).await,
        "{\"type\":2,\"invocationId\":\"2\",\"item\":0}"
    );
    say(
        &mut peer,
        "{\"type\":5,\"headers\":{},\"invocationId\":\"2\"}",
    )
    .await;
    assert_eq!(next(&mut peer).await, "{\"type\":3,\"invocationId\":\"2\"}");
}

/// A browser cannot set headers: the token is in the query.
#[tokio::test]
async fn in_a_browser_the_token_is_in_the_query() {
    let server = Server::start().await;
    let token = token(&server, "/golden-auth").await;
    let request = format!(
        "GET /golden-auth?id={token}&access_token=alice HTTP/1.1\r\n\
         Host: {}\r\n\
         Connection: Upgrade\r\n\
         Pragma: no-cache\r\n\
         Cache-Control: no-cache\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n\
         Upgrade: websocket\r\n\
         Origin: http://localhost:8000\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Accept-Encoding: gzip, deflate, br\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
        server.address
    );
    let mut peer = upgrade(&server, &request).await;
    shake_hands(&mut peer).await;
}

/// The handshake is a text frame even here, and its answer may be binary.
#[tokio::test]
async fn messagepack() {
    let server = Server::start().await;
    let mut peer = connect(&server, "/golden-auth").await;
    say(&mut peer, "{\"protocol\":\"messagepack\",\"version\":1}").await;
    assert_eq!(peer.frame().await.unwrap().1, b"{}\x1e");
    // Five items: stream ids are left away where there are none.
    let invocation = b"\x12\x95\x01\x80\xa10\xa4Echo\x91\xa6\xd0\xbf\xd0\xbe\xd0\xbb";
    peer.send(BINARY, invocation).await;
    let completion = b"\x0d\x95\x03\x80\xa10\x03\xa6\xd0\xbf\xd0\xbe\xd0\xbb";
    assert_eq!(peer.frame().await.unwrap(), (BINARY, completion.to_vec()));
    // `send` has nil for the id; an event must have five items at the least.
    peer.send(BINARY, b"\x13\x95\x01\x80\xc0\xaaSendCaller\x91\xa2hi")
        .await;
    let event = b"\x11\x96\x01\x80\xc0\xa7Message\x91\xa2hi\x90";
    assert_eq!(peer.frame().await.unwrap(), (BINARY, event.to_vec()));
    peer.send(BINARY, b"\x02\x91\x06").await;
    peer.send(CLOSE, b"").await;
    assert_eq!(peer.frame().await.unwrap(), (CLOSE, vec![3, 232]));
}

/// `stop()` closes the socket without a Close message; both of Dart's forms.
#[tokio::test]
async fn it_closes_without_a_message() {
    let server = Server::start().await;
    for payload in [&b""[..], b"\x03\xe8"] {
        let mut peer = connect(&server, "/golden").await;
        shake_hands(&mut peer).await;
        peer.send(CLOSE, payload).await;
        assert_eq!(peer.frame().await.unwrap(), (CLOSE, vec![3, 232]));
        peer.end().await;
    }
}

/// The client reconnects only where Close says that it may.
#[tokio::test]
async fn a_server_that_stops_tells_it_to_come_back() {
    let server = Server::start().await;
    let mut peer = connect(&server, "/golden").await;
    shake_hands(&mut peer).await;
    server.drain();
    assert_eq!(
        next(&mut peer).await,
        "{\"type\":7,\"allowReconnect\":true}"
    );
}
