//! Stateful reconnect: Acks that come late, and at another node.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::Router;
use futures_util::{SinkExt as _, StreamExt as _};
use signalr::{
    Hub, HubOptions, HubServer, NodeId, TokenKey,
    protocol::{HubMessage, HubProtocol::Json, Parsed},
};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

use crate::{client::PATIENCE, requests::Requests};

struct Echo;
impl Hub for Echo {}

async fn echo(text: String) -> String {
    text
}

fn hub(key: &TokenKey, node: u16) -> HubServer {
    let options = HubOptions {
        allow_stateful_reconnects: true,
        token_key: key.clone(),
        node: NodeId(node),
        ..HubOptions::default()
    };
    HubServer::builder(Echo)
        .options(options)
        .method("Echo", echo)
        .build()
        .unwrap()
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Takes up at `attached` what was negotiated at `negotiated`.
async fn connect(negotiated: &HubServer, attached: &HubServer) -> Socket {
    let requests = Requests::to(negotiated);
    let token = requests.negotiate("&useStatefulReconnect=true").await;
    let app = Router::new().layer(attached.layer("/hub"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let url = format!("ws://{address}/hub?id={token}");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let hello = "{\"protocol\":\"json\",\"version\":2}\x1e";
    socket.send(Message::text(hello)).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert_eq!(answer.into_text().unwrap(), "{}\x1e");
    socket
}

/// What came next: how many answers, and the highest Ack.
async fn next(socket: &mut Socket) -> (usize, i64) {
    let read = tokio::time::timeout(PATIENCE, socket.next()).await;
    let read = read.expect("something comes").unwrap().unwrap().into_data();
    let (mut answers, mut acknowledged) = (0, 0);
    let mut rest = &read[..];
    while let Ok(Parsed::Message { message, consumed }) = Json.parse(rest) {
        match message {
            HubMessage::Completion(_) => answers += 1,
            HubMessage::Ack { sequence_id } => acknowledged = sequence_id,
            _ => {}
        }
        rest = &rest[consumed..];
    }
    (answers, acknowledged)
}

/// Waits for one answer; an Ack may come before.
async fn answer(socket: &mut Socket) {
    while next(socket).await.0 == 0 {}
}

fn ack(id: usize) -> String {
    format!("{{\"type\":8,\"sequenceId\":{id}}}\x1e")
}

fn call(id: usize, text: &str) -> String {
    let mut call = Vec::new();
    let id = id.to_string();
    Json.write_invocation(&mut call, Some(&id), "Echo", &(text,), &[])
        .unwrap();
    String::from_utf8(call).unwrap()
}

/// The client's Ack stands behind 200 KB of calls. Their answers are as long:
/// the server may send no more of them before it has read the Ack.
#[tokio::test]
async fn an_ack_behind_many_calls_is_read() {
    const CALLS: usize = 100;
    let hub = hub(&TokenKey::random(), 1);
    let mut socket = connect(&hub, &hub).await;
    let text = "x".repeat(2000);
    for id in 0..CALLS {
        socket.feed(Message::text(call(id, &text))).await.unwrap();
    }
    socket.flush().await.unwrap();
    let mut answered = 0;
    while answered < CALLS {
        answered += next(&mut socket).await.0;
        if answered >= CALLS / 3 {
            socket.send(Message::text(ack(answered))).await.unwrap();
        }
    }
}

/// The same in one read: the call that blocks, and the Ack it waits for.
#[tokio::test]
async fn an_ack_in_the_same_read_as_the_call_that_waits_for_it_is_read() {
    let options = HubOptions {
        allow_stateful_reconnects: true,
        stateful_reconnect_buffer_size: 1000,
        ..HubOptions::default()
    };
    let hub = HubServer::builder(Echo)
        .options(options)
        .method("Echo", echo)
        .build()
        .unwrap();
    let mut socket = connect(&hub, &hub).await;
    let long = "x".repeat(2000);
    socket.send(Message::text(call(1, &long))).await.unwrap();
    answer(&mut socket).await;
    let both = call(2, &long) + &ack(1);
    socket.send(Message::text(both)).await.unwrap();
    answer(&mut socket).await;
}

/// The client keeps what is not acknowledged, and stops at 100 KB of it.
#[tokio::test]
async fn another_node_keeps_the_promise() {
    let key = TokenKey::random();
    let (here, there) = (hub(&key, 1), hub(&key, 2));
    let mut socket = connect(&here, &there).await;
    socket.send(Message::text(call(1, "x"))).await.unwrap();
    let (mut answers, mut acknowledged) = (0, 0);
    while answers == 0 || acknowledged == 0 {
        let (more, id) = next(&mut socket).await;
        answers += more;
        acknowledged = acknowledged.max(id);
    }
    assert_eq!((answers, acknowledged), (1, 1));
}
