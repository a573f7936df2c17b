//! A SignalR client for the check: the JSON protocol over a WebSocket, with as
//! much of it as the check needs.

use std::time::Duration;

use checklist::Web;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::socket::{Socket, SocketError};
use crate::hub::plant_analysis;

const SEPARATOR: char = '\u{1e}';

/// Why the client did not get what it waited for.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("nothing came within {0:?}")]
    TimedOut(Duration),
    #[error("the hub says: {0}")]
    Refused(String),
}

/// A connected client.
#[derive(Debug)]
pub(super) struct HubClient {
    socket: Socket,
    /// Messages that came together with one that was waited for.
    waiting: Vec<Value>,
    calls: u32,
}

impl HubClient {
    /// Connects, without negotiation.
    pub(super) async fn connect(web: &Web, token: &str) -> Result<Self, ClientError> {
        let socket = Socket::open(web, plant_analysis::PATH, token, None).await?;
        let mut client = Self {
            socket,
            waiting: Vec::new(),
            calls: 0,
        };
        client
            .write(&json!({"protocol": "json", "version": 1}))
            .await?;
        let answer = client.find(Duration::from_secs(5), |message| {
            message.get("type").is_none()
        });
        match answer.await?.get("error").and_then(Value::as_str) {
            None => Ok(client),
            Some(error) => Err(ClientError::Refused(error.to_owned())),
        }
    }

    /// Whether it answers the hub's Ping frames, as every good client does.
    pub(super) fn answer_pings(&mut self, answers: bool) {
        self.socket.answers_pings = answers;
    }

    /// Calls a method and gives its result.
    pub(super) async fn call(
        &mut self,
        method: &str,
        arguments: Value,
    ) -> Result<Value, ClientError> {
        self.calls += 1;
        let id = self.calls.to_string();
        let call = json!({"type": 1, "invocationId": id, "target": method, "arguments": arguments});
        self.write(&call).await?;
        let answer = self.find(Duration::from_secs(5), |message| {
            message["type"] == 3 && message["invocationId"] == *id
        });
        let answer = answer.await?;
        match answer["error"].as_str() {
            None => Ok(answer["result"].clone()),
            Some(error) => Err(ClientError::Refused(error.to_owned())),
        }
    }

    /// The first argument of the next event `target` that `wanted` accepts.
    pub(super) async fn event(
        &mut self,
        target: &str,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, ClientError> {
        let found = self.find(within, |message| {
            message["type"] == 1 && message["target"] == target && wanted(&message["arguments"][0])
        });
        Ok(found.await?["arguments"][0].clone())
    }

    async fn write(&mut self, message: &Value) -> Result<(), ClientError> {
        Ok(self.socket.send(&format!("{message}{SEPARATOR}")).await?)
    }

    /// The next message that `wanted` accepts; others before it are dropped.
    async fn find(
        &mut self,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, ClientError> {
        let found = async {
            loop {
                if let Some(at) = self.waiting.iter().position(&wanted) {
                    return Ok(self.waiting.drain(..=at).next_back().unwrap_or_default());
                }
                self.waiting.clear();
                let text = self.socket.receive().await?;
                for part in text.split(SEPARATOR).filter(|part| !part.is_empty()) {
                    let message: Value = serde_json::from_str(part).unwrap_or_default();
                    if message["type"] == 7 {
                        let error = message["error"].as_str().unwrap_or("good-bye");
                        return Err(ClientError::Refused(error.to_owned()));
                    }
                    self.waiting.push(message);
                }
            }
        };
        match timeout(within, found).await {
            Ok(found) => found,
            Err(_) => Err(ClientError::TimedOut(within)),
        }
    }
}
