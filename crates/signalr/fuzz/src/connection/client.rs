//! The client: a WebSocket over a pipe in memory, or requests that are handed
//! to the hub's service.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use signalr::HubServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use super::outcome::Said;
use super::{Plan, Speech, Transport, hub, turns};

const PATH: &str = "/hub";
const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

/// What came from the server so far.
type Received = Arc<Mutex<Vec<u8>>>;

pub(super) struct Client {
    plan: Plan,
    hub: HubServer,
    /// `?id=` and the connection's token, where there was a negotiation.
    query: String,
    received: Received,
    socket: Option<WriteHalf<DuplexStream>>,
    reader: JoinHandle<()>,
    reattached: bool,
}

impl Client {
    pub(super) async fn connect(hub: &HubServer, plan: Plan) -> Self {
        let query = match plan.transport {
            Transport::WebSocket if !plan.stateful => String::new(),
            _ => format!("?id={}", negotiate(hub, plan.stateful).await),
        };
        let received = Received::default();
        let (socket, reader) = match plan.transport {
            Transport::WebSocket => {
                let (socket, reader) = open(hub, &query, Arc::clone(&received)).await;
                (Some(socket), reader)
            }
            Transport::LongPolling => {
                let polls = poll(hub.clone(), query.clone(), Arc::clone(&received));
                (None, tokio::spawn(polls))
            }
            Transport::ServerSentEvents => {
                let events = listen(hub.clone(), query.clone(), Arc::clone(&received));
                (None, tokio::spawn(events))
            }
        };
        // An HTTP transport is attached once its first request was seen.
        turns(4).await;
        Self {
            plan,
            hub: hub.clone(),
            query,
            received,
            socket,
            reader,
            reattached: false,
        }
    }

    /// Sends a piece of what the fuzzer made.
    pub(super) async fn say(&mut self, bytes: &[u8]) {
        match (&mut self.socket, self.plan.speech) {
            (Some(socket), Speech::Frames(_)) => {
                let _ = socket.write_all(bytes).await;
            }
            _ => self.say_message(bytes).await,
        }
    }

    /// Sends bytes of hub messages; a server that takes no more is no fault.
    pub(super) async fn say_message(&mut self, bytes: &[u8]) {
        if let Some(socket) = &mut self.socket {
            let _ = socket.write_all(&frame(0x82, bytes)).await;
        } else {
            let body = Bytes::copy_from_slice(bytes);
            let _ = request(&self.hub, "POST", &self.query, body).await;
        }
    }

    /// The socket is gone without a word, and a new one takes its place.
    pub(super) async fn reattach(&mut self, hub: &HubServer) {
        self.reader.abort();
        let _ = (&mut self.reader).await;
        self.socket = None;
        turns(8).await;
        let (socket, reader) = open(hub, &self.query, Arc::clone(&self.received)).await;
        (self.socket, self.reader) = (Some(socket), reader);
        self.reattached = true;
    }

    /// Waits until nothing moves any more.
    pub(super) async fn settle(&self) {
        let (mut last, mut still) = ((0, 0), 0);
        while still < 24 {
            turns(1).await;
            let now = (lock(&self.received).len(), hub::steps());
            still = if now == last { still + 1 } else { 0 };
            last = now;
        }
    }

    /// Ends the connection as a client of its transport does; gives what it
    /// was told until then.
    pub(super) async fn leave(mut self, hub: &HubServer) -> Said {
        let said = Said {
            bytes: lock(&self.received).clone(),
            reattached: self.reattached,
        };
        match (self.plan.transport, self.plan.speech) {
            (Transport::LongPolling, _) => {
                let _ = request(hub, "DELETE", &self.query, Bytes::new()).await;
            }
            (Transport::WebSocket, Speech::Messages(_) | Speech::FromHandshake) => {
                if let Some(socket) = &mut self.socket {
                    let _ = socket
                        .write_all(&frame(0x88, &1000_u16.to_be_bytes()))
                        .await;
                }
                self.settle().await;
            }
            _ => {}
        }
        self.reader.abort();
        let _ = self.reader.await;
        said
    }
}

fn lock(received: &Received) -> std::sync::MutexGuard<'_, Vec<u8>> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client's frame (RFC 6455, section 5.2).
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length => {
            let length = u16::try_from(length).expect("inputs are short");
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

async fn negotiate(hub: &HubServer, stateful: bool) -> String {
    let query = format!("/negotiate?negotiateVersion=1&useStatefulReconnect={stateful}");
    let (status, body) = request(hub, "POST", &query, Bytes::new()).await;
    assert_eq!(status, StatusCode::OK);
    let answer: serde_json::Value = serde_json::from_slice(&body).expect("negotiate gives JSON");
    let token = answer["connectionToken"].as_str();
    token.expect("version 1 has a token").to_owned()
}

/// One request and its whole answer.
async fn request(hub: &HubServer, method: &str, query: &str, body: Bytes) -> (StatusCode, Bytes) {
    let answer = send(hub, method, query, "*/*", body).await;
    let status = answer.status();
    let body = answer.into_body().collect().await;
    (status, body.expect("a body that ends").to_bytes())
}

async fn send(
    hub: &HubServer,
    method: &str,
    query: &str,
    accept: &str,
    body: Bytes,
) -> Response<impl http_body_util::BodyExt<Data = Bytes, Error: std::fmt::Debug> + Unpin + use<>> {
    let request = Request::builder()
        .method(method)
        .uri(format!("{PATH}{query}"))
        .header(header::ACCEPT, accept)
        .body(Full::new(body))
        .expect("a request that can be sent");
    match hub.service(PATH).oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

/// Polls until the server has no more to say.
async fn poll(hub: HubServer, query: String, received: Received) {
    loop {
        let (status, body) = request(&hub, "GET", &query, Bytes::new()).await;
        if status != StatusCode::OK {
            return;
        }
        lock(&received).extend_from_slice(&body);
    }
}

/// Reads an event stream to its end.
async fn listen(hub: HubServer, query: String, received: Received) {
    let answer = send(&hub, "GET", &query, "text/event-stream", Bytes::new()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            lock(&received).extend_from_slice(&data);
        }
    }
}

/// Opens a WebSocket: an HTTP connection of its own, in memory.
async fn open(
    hub: &HubServer,
    query: &str,
    received: Received,
) -> (WriteHalf<DuplexStream>, JoinHandle<()>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(
            TokioIo::new(server),
            TowerToHyperService::new(hub.service(PATH)),
        )
        .with_upgrades();
    tokio::spawn(served);
    let (mut reader, mut writer) = tokio::io::split(client);
    let request = format!(
        "GET {PATH}{query} HTTP/1.1\r\nHost: fuzz\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let _ = writer.write_all(request.as_bytes()).await;
    let head = read_head(&mut reader).await;
    // A connection that is over cannot be taken up again.
    let opened = head.starts_with(b"HTTP/1.1 101 ");
    assert!(opened || head.starts_with(b"HTTP/1.1 404 ") || head.starts_with(b"HTTP/1.1 409 "));
    let reading = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            if opened {
                lock(&received).extend_from_slice(&buffer[..length]);
            }
        }
    });
    (writer, reading)
}

async fn read_head(reader: &mut ReadHalf<DuplexStream>) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match reader.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return head,
        }
    }
    head
}
