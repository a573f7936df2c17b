//! A client on a real WebSocket, with either protocol. The tests of
//! `signalr-redis` use it, too.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use signalr::{
    ConnectionId,
    protocol::{Arguments, CompletionOutcome, HubMessage, HubProtocol, Parsed},
};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

/// Far beyond what anything takes: a test that waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    protocol: HubProtocol,
    received: VecDeque<Received>,
    pub(crate) id: ConnectionId,
}

/// A message of the server.
#[derive(Debug, PartialEq)]
pub(crate) enum Received {
    Event {
        id: Option<String>,
        target: String,
        arguments: Vec<Value>,
    },
    Result(Value),
    Failed(String),
    Closed,
}

impl Client {
    /// Connects as `user`; the hub tells each client its id.
    pub(crate) async fn connect(address: SocketAddr, user: &str, protocol: HubProtocol) -> Self {
        let url = format!("ws://{address}/hub?user={user}");
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let hello = format!(
            "{{\"protocol\":\"{}\",\"version\":1}}\u{1e}",
            protocol.name()
        );
        socket.send(Message::text(hello)).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer.into_data().as_ref(), b"{}\x1e");
        let mut client = Self {
            socket,
            protocol,
            received: VecDeque::new(),
            id: ConnectionId::parse("0000000000000000000000").unwrap(),
        };
        let (target, arguments) = client.event().await;
        assert_eq!(target, "Welcome");
        client.id = ConnectionId::parse(arguments[0].as_str().unwrap()).unwrap();
        client
    }

    pub(crate) async fn send(&mut self, write: impl FnOnce(HubProtocol, &mut Vec<u8>)) {
        let mut frame = Vec::new();
        write(self.protocol, &mut frame);
        let message = match self.protocol {
            HubProtocol::Json => Message::text(String::from_utf8(frame).unwrap()),
            HubProtocol::MessagePack => Message::binary(frame),
        };
        self.socket.send(message).await.unwrap();
    }

    /// Calls a method and gives its result; no event may come before.
    pub(crate) async fn invoke(&mut self, target: &str, arguments: impl Arguments) -> Value {
        self.send(|protocol, out| {
            protocol
                .write_invocation(out, Some("1"), target, &arguments, &[])
                .unwrap();
        })
        .await;
        match self.next().await {
            Received::Result(value) => value,
            other => panic!("no result but {other:?}"),
        }
    }

    pub(crate) async fn answer(&mut self, id: &str, result: &str) {
        self.send(|protocol, out| protocol.write_result(out, id, result).unwrap())
            .await;
    }

    /// The next event: its name and arguments.
    pub(crate) async fn event(&mut self) -> (String, Vec<Value>) {
        match self.next().await {
            Received::Event {
                target, arguments, ..
            } => (target, arguments),
            other => panic!("no event but {other:?}"),
        }
    }

    /// The next event is this one, without arguments.
    pub(crate) async fn expect(&mut self, name: &str) {
        assert_eq!(self.event().await.0, name);
    }

    /// The next question: its id.
    pub(crate) async fn question(&mut self) -> String {
        match self.next().await {
            Received::Event { id: Some(id), .. } => id,
            other => panic!("no question but {other:?}"),
        }
    }

    pub(crate) async fn close(mut self) {
        self.socket.close(None).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Received {
        loop {
            if let Some(received) = self.received.pop_front() {
                return received;
            }
            let message = tokio::time::timeout(PATIENCE, self.socket.next());
            let message = message.await.expect("something comes").unwrap().unwrap();
            if message.is_text() || message.is_binary() {
                self.read(&message.into_data());
            } else if message.is_close() {
                return Received::Closed;
            }
        }
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Parsed::Message { message, consumed } = self.protocol.parse(bytes).unwrap() else {
                panic!("the server sends whole messages")
            };
            bytes = &bytes[consumed..];
            self.received.push_back(match message {
                HubMessage::Invocation(call) => Received::Event {
                    id: call.invocation_id.map(|id| id.into_owned()),
                    target: call.target.into_owned(),
                    arguments: call
                        .arguments
                        .iter()
                        .map(|each| each.deserialize().unwrap())
                        .collect(),
                },
                HubMessage::Completion(end) => match end.outcome {
                    CompletionOutcome::Result(value) => {
                        Received::Result(value.deserialize().unwrap())
                    }
                    CompletionOutcome::Void => Received::Result(Value::Null),
                    CompletionOutcome::Error(error) => Received::Failed(error.into_owned()),
                },
                HubMessage::Close { .. } => Received::Closed,
                _ => continue,
            });
        }
    }
}
