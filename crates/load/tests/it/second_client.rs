//! A client that shares nothing with the load tester: another WebSocket
//! library, another JSON reader.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// Nothing comes for this long: all has come.
const SILENCE: Duration = Duration::from_millis(700);

/// It is connected and counts the events of the load.
pub(super) struct SecondClient(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl SecondClient {
    pub(super) async fn connect(url: &str) -> Self {
        let (mut socket, _) = connect_async(url).await.unwrap();
        let handshake = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
        socket.send(Message::text(handshake)).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer.to_text().unwrap(), "{}\u{1e}");
        Self(socket)
    }

    /// The numbers of the load's messages (the third field of their probe), as they came.
    pub(super) async fn numbers(mut self) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Ok(Some(message)) = timeout(SILENCE, self.0.next()).await {
            let Message::Text(text) = message.unwrap() else {
                continue;
            };
            for part in text.split('\u{1e}').filter(|part| !part.is_empty()) {
                let message: Value = serde_json::from_str(part).unwrap();
                if message["target"] == "LoadProbe" {
                    let argument = &message["arguments"][0];
                    let probe = argument["probe"].as_str().or(argument.as_str()).unwrap();
                    let number = probe.split('.').nth(3).unwrap();
                    numbers.push(u64::from_str_radix(number, 16).unwrap());
                }
            }
        }
        numbers
    }
}

/// Each once, in order.
pub(super) fn all_up_to(count: &Value) -> Vec<u64> {
    (0..count.as_u64().unwrap()).collect()
}
