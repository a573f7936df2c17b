//! A webhook on a bare socket, so that it can break every rule of HTTP.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::hub::PATIENCE;

/// What the webhook does with a call.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    /// Writes this, as it stands, and closes.
    Raw(Vec<u8>),
    /// Waits, then does the next thing.
    After(Duration, Box<Deed>),
    /// Writes a head and then a byte now and then, for ever.
    Dribble(Duration),
    /// Never answers.
    Hang,
    /// Resets the connection.
    Reset,
}

impl Deed {
    pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let mut raw = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
        )
        .into_bytes();
        raw.extend_from_slice(body);
        Self::Raw(raw)
    }

    pub(crate) fn json(body: &str) -> Self {
        Self::answer(
            "200 OK",
            "content-type: application/json\r\n",
            body.as_bytes(),
        )
    }

    pub(crate) fn status(status: &str) -> Self {
        Self::answer(status, "", b"")
    }
}

/// A call as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The text of a form field.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let (_, rest) = text.split_once(&format!("name=\"{name}\""))?;
        let (_, value) = rest.split_once("\r\n\r\n")?;
        Some(value.split("\r\n--").next()?.to_owned())
    }
}

#[derive(Default)]
struct Inner {
    deeds: VecDeque<Deed>,
    received: Vec<Received>,
}

/// The server; it ends when it is dropped. Without a deed left it answers with a good result.
pub(crate) struct Webhook {
    port: u16,
    inner: Arc<Mutex<Inner>>,
    called: Arc<Notify>,
    _server: JoinSet<()>,
}

impl Webhook {
    pub(crate) async fn start(deeds: impl IntoIterator<Item = Deed>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let deeds = deeds.into_iter().collect();
        let inner = Arc::new(Mutex::new(Inner {
            deeds,
            received: Vec::new(),
        }));
        let called = Arc::new(Notify::new());
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Arc::clone(&inner), Arc::clone(&called)));
        Self {
            port,
            inner,
            called,
            _server: server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhook/plant-analysis", self.port)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.inner.lock().unwrap().received.clone()
    }

    pub(crate) async fn until_called(&self, times: usize) -> Vec<Received> {
        let calls = timeout(PATIENCE, async {
            loop {
                let called = self.called.notified();
                tokio::pin!(called);
                called.as_mut().enable();
                let received = self.received();
                if received.len() >= times {
                    return received;
                }
                called.await;
            }
        });
        calls.await.expect("the webhook was not called")
    }
}

pub(crate) const GOOD: &str =
    r#"{"overallHealthScore":64,"primaryConcern":"Leaf rust","confidence":0.8,"model":"m1"}"#;

async fn accept(listener: TcpListener, inner: Arc<Mutex<Inner>>, called: Arc<Notify>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (inner, called) = (Arc::clone(&inner), Arc::clone(&called));
        connections.spawn(async move {
            let Some(received) = read(&mut stream).await else {
                return;
            };
            let deed = {
                let mut inner = inner.lock().unwrap();
                inner.received.push(received);
                inner.deeds.pop_front().unwrap_or_else(|| Deed::json(GOOD))
            };
            called.notify_waiters();
            act(stream, deed).await;
        });
    }
}

async fn act(mut stream: TcpStream, mut deed: Deed) {
    while let Deed::After(time, next) = deed {
        sleep(time).await;
        deed = *next;
    }
    match deed {
        Deed::Raw(bytes) => {
            // The peer may leave before it has read everything.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Deed::Dribble(pause) => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
            let _ = stream.write_all(head).await;
            while stream.write_all(b" ").await.is_ok() {
                sleep(pause).await;
            }
        }
        Deed::Hang => std::future::pending().await,
        Deed::Reset => stream.set_zero_linger().unwrap(),
        Deed::After(..) => {}
    }
}

/// A whole request: its head, and as much body as it announces.
async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let mut received = Received {
                head,
                body: bytes[end + 4..].to_vec(),
            };
            let length: usize = received.header("content-length")?.parse().ok()?;
            while received.body.len() < length {
                if stream.read_buf(&mut received.body).await.ok()? == 0 {
                    return None;
                }
            }
            return Some(received);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
