//! A client over a real WebSocket, speaking the JSON protocol.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async, tungstenite::Message,
};

use crate::harness::Hub;

/// A connected client. Dropping it cuts the connection.
pub(crate) struct Client(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// Without negotiation, the token in the address, as browsers do.
    pub(crate) async fn connect(hub: &Hub, user: &str) -> Self {
        Self::with_token(hub, &hub.token(user)).await
    }

    /// One for which the system takes little that it has not read.
    pub(crate) async fn connect_with_little_room(hub: &Hub, user: &str) -> Self {
        let address = hub.address();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let stream = socket.connect(address.parse().unwrap()).await.unwrap();
        let token = hub.token(user);
        let url = format!("ws://{address}/hubs/plantanalysis?access_token={token}");
        let (socket, _) = client_async(url, MaybeTlsStream::Plain(stream))
            .await
            .unwrap();
        Self::greeted(socket).await
    }

    pub(crate) async fn with_token(hub: &Hub, token: &str) -> Self {
        Self::at(hub, "/hubs/plantanalysis", token).await
    }

    /// At another hub than the clients'.
    pub(crate) async fn at(hub: &Hub, path: &str, token: &str) -> Self {
        let address = hub.address();
        let url = format!("ws://{address}{path}?access_token={token}");
        let (socket, _) = connect_async(url).await.unwrap();
        Self::greeted(socket).await
    }

    async fn greeted(socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        let mut client = Self(socket);
        client
            .send("{\"protocol\":\"json\",\"version\":1}\u{1e}")
            .await;
        client
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Shows that the connection works.
    pub(crate) async fn ping(&mut self) {
        self.send("{\"type\":1,\"target\":\"Ping\",\"arguments\":[]}\u{1e}")
            .await;
        self.event("Pong").await;
    }

    /// Says up to where it has the log; the answer is the next completion.
    pub(crate) async fn resume(&mut self, sequence: i64) {
        let call =
            json!({"type": 1, "invocationId": "r", "target": "Resume", "arguments": [sequence]});
        self.send(&format!("{call}\u{1e}")).await;
    }

    /// The arguments of the next event `target`.
    pub(crate) async fn event(&mut self, target: &str) -> Value {
        let event = self.find(|message| message["target"] == target).await;
        event["arguments"].clone()
    }

    /// The next invocation of `target` (of any, where it is empty) as it was sent.
    pub(crate) async fn text(&mut self, target: &str) -> String {
        let wanted = format!("{{\"type\":1,\"target\":\"{target}");
        while let Some(message) = self.0.next().await {
            let Message::Text(text) = message.unwrap() else {
                continue;
            };
            if let Some(part) = text.split('\u{1e}').find(|part| part.starts_with(&wanted)) {
                return part.to_owned();
            }
        }
        panic!("the connection closed before that message");
    }

    /// The next message of that type.
    pub(crate) async fn message(&mut self, kind: u8) -> Value {
        self.find(|message| message["type"] == kind).await
    }

    pub(crate) async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        while let Some(message) = self.0.next().await {
            let Message::Text(text) = message.unwrap() else {
                continue;
            };
            for part in text.split('\u{1e}').filter(|part| !part.is_empty()) {
                let message: Value = serde_json::from_str(part).unwrap();
                if wanted(&message) {
                    return message;
                }
            }
        }
        panic!("the connection closed before that message");
    }
}
