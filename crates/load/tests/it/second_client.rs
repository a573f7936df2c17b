//! A client that shares nothing with the load tester: another WebSocket
//! library, another JSON reader.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// Far beyond what anything takes: a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is sent twice is sent soon after the first time.
const A_WHILE: Duration = Duration::from_millis(300);

/// It is connected and counts the events of the load.
pub(super) struct SecondClient {
    numbers: mpsc::UnboundedReceiver<u64>,
}

impl SecondClient {
    pub(super) async fn connect(url: &str) -> Self {
        let (mut socket, _) = connect_async(url).await.unwrap();
        let handshake = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
        socket.send(Message::text(handshake)).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer.to_text().unwrap(), "{}\u{1e}");
        let (found, numbers) = mpsc::unbounded_channel();
        tokio::spawn(read(socket, found));
        Self { numbers }
    }

    /// The numbers of the load's messages, as they came: `count` of them, and
    /// any that are too many.
    pub(super) async fn numbers(mut self, count: &Value) -> Vec<u64> {
        let count = count.as_u64().unwrap() as usize;
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let next = timeout(PATIENCE, self.numbers.recv()).await;
            numbers.push(next.expect("all come").unwrap());
        }
        while let Ok(Some(more)) = timeout(A_WHILE, self.numbers.recv()).await {
            numbers.push(more);
        }
        numbers
    }
}

/// The number is the third field of a message's probe.
async fn read(
    mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    found: mpsc::UnboundedSender<u64>,
) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        for part in text.split('\u{1e}').filter(|part| !part.is_empty()) {
            let message: Value = serde_json::from_str(part).unwrap();
            if message["target"] == "LoadProbe" {
                let argument = &message["arguments"][0];
                let probe = argument["probe"].as_str().or(argument.as_str()).unwrap();
                let number = probe.split('.').nth(3).unwrap();
                let _ = found.send(u64::from_str_radix(number, 16).unwrap());
            }
        }
    }
}

/// Each once, in order.
pub(super) fn all_up_to(count: &Value) -> Vec<u64> {
    (0..count.as_u64().unwrap()).collect()
}
