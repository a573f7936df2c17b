//! What a client asked for before it left is done, as in ASP.NET Core.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use parking_lot::Mutex;
use signalr::{
    CancellationToken, Context, DisconnectReason, Hub, HubError, HubOptions, HubServer, State,
    protocol::HubProtocol::Json,
};
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};
use tower::ServiceExt as _;

use crate::client::PATIENCE;

/// Writes down what is done; each step waits for a permit of the test.
#[derive(Default)]
struct Journal {
    /// Asks each client something before it is connected.
    asks: bool,
    lines: Mutex<Vec<String>>,
    connects: Permits,
    steps: Permits,
}

struct Permits(Semaphore);

impl Default for Permits {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Permits {
    fn add(&self, count: usize) {
        self.0.add_permits(count);
    }

    async fn take(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

impl Journal {
    fn note(&self, line: impl Into<String>) {
        self.lines.lock().push(line.into());
    }

    /// Waits until so much is written.
    async fn lines(&self, count: usize) -> Vec<String> {
        let written = async {
            while self.lines.lock().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, written).await;
        let lines = self.lines.lock().clone();
        assert!(in_time.is_ok(), "only {lines:?}");
        lines
    }
}

impl Hub for Journal {
    async fn on_connected(&self, context: &Context) -> Result<(), HubError> {
        self.connects.take().await;
        if self.asks {
            self.note(question(context).await);
        }
        self.note("connected");
        Ok(())
    }

    async fn on_disconnected(&self, _: &Context, _: &DisconnectReason) {
        self.note("left");
    }
}

/// Asks the client as code does that knows no caller.
async fn question(context: &Context) -> String {
    let client = context.hub().client(context.connection_id());
    let answer = client.invoke::<String, _>("Question", ()).await;
    match answer {
        Ok(answer) => answer,
        Err(error) => error
            .to_string()
            .replace(context.connection_id().as_str(), "it"),
    }
}

async fn save(journal: State<Arc<Journal>>, token: CancellationToken, line: String) {
    journal.steps.take().await;
    let after = if token.is_cancelled() { " after" } else { "" };
    journal.note(format!("{line}{after}"));
}

/// Goes on until its client cancels it.
async fn watch(journal: State<Arc<Journal>>, token: CancellationToken, line: String) {
    token.cancelled().await;
    journal.note(line);
}

async fn ask(journal: State<Arc<Journal>>, context: Context, line: String) {
    let answer = question(&context).await;
    journal.note(format!("{line}: {answer}"));
}

fn hub() -> (Arc<Journal>, HubServer) {
    hub_of(Journal::default(), HubOptions::default())
}

fn hub_of(journal: Journal, options: HubOptions) -> (Arc<Journal>, HubServer) {
    let journal = Arc::new(journal);
    let hub = HubServer::builder(Arc::clone(&journal))
        .options(options)
        .method("Save", save)
        .method("Watch", watch)
        .method("Ask", ask)
        .build()
        .unwrap();
    (journal, hub)
}

async fn serve(hub: &HubServer) -> SocketAddr {
    let app = Router::new().layer(hub.layer("/hub"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A client's words: the handshake and its calls.
fn words(method: &str, lines: &[&str]) -> String {
    let mut said = b"{\"protocol\":\"json\",\"version\":1}\x1e".to_vec();
    for line in lines {
        Json.write_invocation(&mut said, None, method, &(line,), &[])
            .unwrap();
    }
    String::from_utf8(said).unwrap()
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn next(socket: &mut Socket) -> String {
    let read = tokio::time::timeout(PATIENCE, socket.next()).await;
    read.unwrap()
        .unwrap()
        .unwrap()
        .into_text()
        .unwrap()
        .to_string()
}

/// A client that says everything at once, leaves in good order, and is let go.
async fn says_and_leaves(address: SocketAddr, method: &str, lines: &[&str]) {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/hub"))
        .await
        .unwrap();
    socket
        .send(Message::text(words(method, lines)))
        .await
        .unwrap();
    assert_eq!(next(&mut socket).await, "{}\x1e");
    socket.close(None).await.unwrap();
    // Its close frame is answered at once, whatever the hub still has to do.
    let goodbye = async { while socket.next().await.is_some_and(|read| read.is_ok()) {} };
    tokio::time::timeout(PATIENCE, goodbye).await.unwrap();
}

#[tokio::test]
async fn what_waits_is_done_in_its_order() {
    let (journal, hub) = hub();
    journal.connects.add(1);
    says_and_leaves(serve(&hub).await, "Save", &["one", "two", "three"]).await;
    journal.steps.add(2);
    let lines = journal.lines(4).await;
    assert_eq!(lines[..3], ["connected", "one after", "two after"]);
    // The last one has begun, so the client's time is over; it goes on.
    assert_eq!(lines[3], "left");
    journal.steps.add(1);
    assert_eq!(journal.lines(5).await[4], "three after");
    assert_eq!(hub.connection_count(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_announced_was_there() {
    let (journal, hub) = hub();
    says_and_leaves(serve(&hub).await, "Save", &["one"]).await;
    assert!(journal.lines.lock().is_empty());
    journal.steps.add(1);
    journal.connects.add(1);
    let lines = journal.lines(3).await;
    assert_eq!(lines[0], "connected");
    assert_eq!(lines[1..], ["one after", "left"]);
}

#[tokio::test]
async fn a_long_polling_client_that_deletes_its_connection_as_well() {
    let (journal, hub) = hub();
    journal.connects.add(1);
    let ask = async |method: &str, target: &str, body: String| {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .body(Body::from(body))
            .unwrap();
        let Ok(answer) = hub.service("/hub").oneshot(request).await;
        assert!(answer.status().is_success(), "{}", answer.status());
        axum::body::to_bytes(answer.into_body(), 1 << 16)
            .await
            .unwrap()
    };
    let negotiated = ask("POST", "/hub/negotiate?negotiateVersion=1", String::new()).await;
    let negotiated: serde_json::Value = serde_json::from_slice(&negotiated).unwrap();
    let target = format!(
        "/hub?id={}",
        negotiated["connectionToken"].as_str().unwrap()
    );
    ask("GET", &target, String::new()).await;
    ask("POST", &target, words("Save", &["one", "two"])).await;
    journal.lines(1).await;
    ask("DELETE", &target, String::new()).await;
    journal.steps.add(1);
    assert_eq!(journal.lines(3).await, ["connected", "one after", "left"]);
    journal.steps.add(1);
    assert_eq!(journal.lines(4).await[3], "two after");
}

/// Each call of a method that waits to be cancelled holds the only slot: the
/// client that would cancel it is gone.
#[tokio::test]
async fn calls_that_wait_for_their_client_do_not_keep_its_connection() {
    let (journal, hub) = hub();
    journal.connects.add(1);
    says_and_leaves(serve(&hub).await, "Watch", &["one", "two", "three"]).await;
    let mut lines = journal.lines(5).await;
    assert_eq!(lines[..3], ["connected", "one", "two"]);
    lines.sort();
    assert_eq!(lines[1], "left");
    assert_eq!(hub.connection_count(), 0);
}

#[tokio::test]
async fn a_question_to_a_client_that_left_is_answered_at_once() {
    let (journal, hub) = hub();
    journal.connects.add(1);
    says_and_leaves(serve(&hub).await, "Ask", &["one", "two"]).await;
    let gone = "Connection 'it' disconnected.";
    let lines = journal.lines(4).await;
    assert!(lines.contains(&format!("one: {gone}")), "{lines:?}");
    assert!(lines.contains(&"left".to_owned()), "{lines:?}");
}

/// `on_connected` is run to its end, and must get there.
#[tokio::test]
async fn so_is_one_that_is_asked_while_it_connects() {
    let journal = Journal {
        asks: true,
        ..Journal::default()
    };
    let (journal, hub) = hub_of(journal, HubOptions::default());
    let address = serve(&hub).await;
    let url = format!("ws://{address}/hub");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    socket
        .send(Message::text(words("Save", &[])))
        .await
        .unwrap();
    assert_eq!(next(&mut socket).await, "{}\x1e");
    journal.connects.add(1);
    assert!(next(&mut socket).await.contains("Question"));
    socket.close(None).await.unwrap();
    let gone = "Connection 'it' disconnected.";
    assert_eq!(journal.lines(3).await, [gone, "connected", "left"]);
}

/// A method that never ends cannot keep the registry's entry of a client that
/// left; it goes on by itself.
#[tokio::test]
async fn what_waits_too_long_is_given_up() {
    let options = HubOptions {
        client_timeout_interval: Duration::from_millis(300),
        ..HubOptions::default()
    };
    let (journal, hub) = hub_of(Journal::default(), options);
    journal.connects.add(1);
    says_and_leaves(serve(&hub).await, "Save", &["one", "two"]).await;
    assert_eq!(journal.lines(2).await, ["connected", "left"]);
    assert_eq!(hub.connection_count(), 0);
    journal.steps.add(2);
    assert_eq!(journal.lines(3).await[2], "one after");
}

/// JavaScript's `stop()` writes both at once: they come in one read.
#[tokio::test]
async fn a_close_frame_behind_a_close_message_is_not_lost() {
    let options = HubOptions {
        // Far beyond the test's patience: only the close frame ends it.
        web_socket_close_timeout: Duration::from_secs(3600),
        ..HubOptions::default()
    };
    let (journal, hub) = hub_of(Journal::default(), options);
    journal.connects.add(1);
    let url = format!("ws://{}/hub", serve(&hub).await);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    socket
        .send(Message::text(words("Save", &[])))
        .await
        .unwrap();
    assert_eq!(next(&mut socket).await, "{}\x1e");
    journal.lines(1).await;
    socket
        .feed(Message::text("{\"type\":7}\x1e"))
        .await
        .unwrap();
    socket.feed(Message::Close(None)).await.unwrap();
    socket.flush().await.unwrap();
    assert_eq!(next(&mut socket).await, "{\"type\":7}\x1e");
    assert_eq!(journal.lines(2).await, ["connected", "left"]);
}
