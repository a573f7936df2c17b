//! A client of the plant hub over any transport.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use super::PATIENCE;
use crate::harness::Hub;

const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Transport {
    WebSockets,
    ServerSentEvents,
    LongPolling,
}

pub(super) const ALL: [Transport; 3] = [
    Transport::WebSockets,
    Transport::ServerSentEvents,
    Transport::LongPolling,
];

/// Dropping it cuts its connection without a word.
pub(super) struct Client {
    inbox: mpsc::Receiver<Value>,
    outbox: mpsc::Sender<String>,
    tasks: Vec<JoinHandle<()>>,
    invocations: u32,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Client {
    pub(super) async fn connect(hub: &Hub, user: &str, transport: Transport) -> Self {
        let (heard, inbox) = mpsc::channel(10_000);
        let (outbox, to_send) = mpsc::channel(100);
        let mut client = Self {
            inbox,
            outbox,
            tasks: Vec::new(),
            invocations: 0,
        };
        if transport == Transport::WebSockets {
            let (address, token) = (hub.address(), hub.token(user));
            let url = format!("ws://{address}/hubs/plantanalysis?access_token={token}");
            client
                .tasks
                .push(tokio::spawn(web_socket(url, heard, to_send)));
        } else {
            let http = Http::negotiate(hub, user).await;
            if transport == Transport::LongPolling {
                // The first poll is what attaches the transport.
                http.get().send().await.unwrap().error_for_status().unwrap();
            }
            let events = match transport {
                Transport::ServerSentEvents => {
                    let request = http.get().header("Accept", "text/event-stream");
                    Some(request.send().await.unwrap().error_for_status().unwrap())
                }
                _ => None,
            };
            client.tasks.push(tokio::spawn(http.clone().post(to_send)));
            client.tasks.push(match events {
                Some(events) => tokio::spawn(read_events(events, heard)),
                None => tokio::spawn(http.poll(heard)),
            });
        }
        client.send(HANDSHAKE.to_owned()).await;
        client
    }

    async fn send(&self, text: String) {
        self.outbox.send(text).await.unwrap();
    }

    /// Calls a method and gives its completion; events that come before it are
    /// passed over.
    pub(super) async fn invoke(&mut self, method: &str, arguments: Value) -> Value {
        self.invocations += 1;
        let id = self.invocations.to_string();
        let call = json!({"type": 1, "invocationId": id, "target": method, "arguments": arguments});
        self.send(format!("{call}\u{1e}")).await;
        loop {
            let message = self.next().await.expect("the connection stands");
            if message["invocationId"] == id.as_str() {
                return message;
            }
        }
    }

    /// Shows that the connection works, and that what was sent to the client
    /// before is confirmed: the server reads in order.
    pub(super) async fn ping(&mut self) {
        let answer = self.invoke("Ping", json!([])).await;
        assert_eq!(answer["type"], 3, "{answer}");
    }

    /// The next event but `Pong`: its name and argument.
    pub(super) async fn event(&mut self) -> (String, Value) {
        loop {
            let message = self.next().await.expect("the connection stands");
            if message["type"] == 1 && message["target"] != "Pong" {
                let target = message["target"].as_str().unwrap().to_owned();
                return (target, message["arguments"][0].clone());
            }
        }
    }

    /// The next notification: its sequence and number.
    pub(super) async fn done(&mut self) -> (i64, i64) {
        let (event, argument) = self.event().await;
        assert_eq!(event, "Done", "{argument}");
        let number = argument["number"].as_i64();
        (argument["sequence"].as_i64().unwrap(), number.unwrap())
    }

    /// The Close message, if there was one before the end.
    pub(super) async fn close(&mut self) -> Option<Value> {
        loop {
            match self.next().await {
                Some(message) if message["type"] == 7 => return Some(message),
                Some(_) => {}
                None => return None,
            }
        }
    }

    async fn next(&mut self) -> Option<Value> {
        timeout(PATIENCE, self.inbox.recv())
            .await
            .expect("something comes")
    }
}

/// Hands on the messages of a text; false when nobody wants them.
async fn hand_on(text: &str, heard: &mpsc::Sender<Value>) -> bool {
    for part in text.split('\u{1e}').filter(|part| !part.is_empty()) {
        let message: Value = serde_json::from_str(part).unwrap();
        if heard.send(message).await.is_err() {
            return false;
        }
    }
    true
}

async fn web_socket(url: String, heard: mpsc::Sender<Value>, mut to_send: mpsc::Receiver<String>) {
    let (mut socket, _) = connect_async(url).await.unwrap();
    loop {
        tokio::select! {
            text = to_send.recv() => match text {
                Some(text) => if socket.send(Message::text(text)).await.is_err() { return },
                None => return,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => if !hand_on(&text, &heard).await { return },
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}

/// The two transports over plain requests.
#[derive(Clone)]
struct Http {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Http {
    async fn negotiate(hub: &Hub, user: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let path = "/hubs/plantanalysis";
        let token = hub.token(user);
        let url = format!("{}{path}/negotiate?negotiateVersion=1", hub.base);
        let answer = client.post(url).bearer_auth(&token).send().await.unwrap();
        let answer: Value = answer.error_for_status().unwrap().json().await.unwrap();
        let id = answer["connectionToken"].as_str().unwrap();
        Self {
            client,
            url: format!("{}{path}?id={id}", hub.base),
            token,
        }
    }

    fn get(&self) -> reqwest::RequestBuilder {
        self.client.get(&self.url).bearer_auth(&self.token)
    }

    async fn post(self, mut to_send: mpsc::Receiver<String>) {
        while let Some(text) = to_send.recv().await {
            let request = self.client.post(&self.url).bearer_auth(&self.token);
            if request.body(text).send().await.is_err() {
                return;
            }
        }
    }

    async fn poll(self, heard: mpsc::Sender<Value>) {
        loop {
            let Ok(answer) = self.get().timeout(Duration::from_secs(100)).send().await else {
                return;
            };
            if answer.status() != 200 {
                return;
            }
            let Ok(text) = answer.text().await else {
                return;
            };
            if !hand_on(&text, &heard).await {
                return;
            }
        }
    }
}

async fn read_events(answer: reqwest::Response, heard: mpsc::Sender<Value>) {
    let mut stream = answer.bytes_stream();
    let mut text = String::new();
    while let Some(Ok(bytes)) = stream.next().await {
        text.push_str(std::str::from_utf8(&bytes).unwrap());
        while let Some(end) = text.find("\r\n\r\n") {
            let event = text[..end].to_owned();
            text.drain(..end + 4);
            for line in event.lines().filter_map(|line| line.strip_prefix("data: ")) {
                if !hand_on(line, &heard).await {
                    return;
                }
            }
        }
    }
}
