//! What a client asked for before it left is done, as in ASP.NET Core.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use parking_lot::Mutex;
use signalr::{
    CancellationToken, Context, DisconnectReason, Hub, HubError, HubServer, State,
    protocol::HubProtocol::Json,
};
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceExt as _;

use crate::client::PATIENCE;

/// Writes down what is done; each step waits for a permit of the test.
struct Journal {
    lines: Mutex<Vec<String>>,
    connects: Semaphore,
    steps: Semaphore,
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
    async fn on_connected(&self, _: &Context) -> Result<(), HubError> {
        self.connects.acquire().await.unwrap().forget();
        self.note("connected");
        Ok(())
    }

    async fn on_disconnected(&self, _: &Context, _: &DisconnectReason) {
        self.note("left");
    }
}

async fn save(journal: State<Arc<Journal>>, token: CancellationToken, line: String) {
    journal.steps.acquire().await.unwrap().forget();
    let after = if token.is_cancelled() { " after" } else { "" };
    journal.note(format!("{line}{after}"));
}

fn hub() -> (Arc<Journal>, HubServer) {
    let journal = Arc::new(Journal {
        lines: Mutex::default(),
        connects: Semaphore::new(0),
        steps: Semaphore::new(0),
    });
    let hub = HubServer::builder(Arc::clone(&journal))
        .method("Save", save)
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

/// A client's words: the handshake and a `Save` of each line.
fn words(lines: &[&str]) -> String {
    let mut said = b"{\"protocol\":\"json\",\"version\":1}\x1e".to_vec();
    for line in lines {
        Json.write_invocation(&mut said, None, "Save", &(line,), &[])
            .unwrap();
    }
    String::from_utf8(said).unwrap()
}

/// A client that says everything at once, leaves in good order, and is let go.
async fn says_and_leaves(address: SocketAddr, lines: &[&str]) {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/hub"))
        .await
        .unwrap();
    socket.send(Message::text(words(lines))).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert_eq!(answer.into_data().as_ref(), b"{}\x1e");
    socket.close(None).await.unwrap();
    // Its close frame is answered at once, whatever the hub still has to do.
    let goodbye = async { while socket.next().await.is_some_and(|read| read.is_ok()) {} };
    tokio::time::timeout(PATIENCE, goodbye).await.unwrap();
}

#[tokio::test]
async fn what_waits_is_done_in_its_order() {
    let (journal, hub) = hub();
    journal.connects.add_permits(1);
    says_and_leaves(serve(&hub).await, &["one", "two", "three"]).await;
    journal.steps.add_permits(2);
    let lines = journal.lines(4).await;
    assert_eq!(lines[..3], ["connected", "one", "two"]);
    // The last one has begun, so the client's time is over; it goes on.
    assert_eq!(lines[3], "left");
    journal.steps.add_permits(1);
    assert_eq!(journal.lines(5).await[4], "three after");
    assert_eq!(hub.connection_count(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_announced_was_there() {
    let (journal, hub) = hub();
    says_and_leaves(serve(&hub).await, &["one"]).await;
    assert!(journal.lines.lock().is_empty());
    journal.steps.add_permits(1);
    journal.connects.add_permits(1);
    let lines = journal.lines(3).await;
    assert_eq!(lines[0], "connected");
    assert_eq!(lines[1..], ["one", "left"]);
}

#[tokio::test]
async fn a_long_polling_client_that_deletes_its_connection_as_well() {
    let (journal, hub) = hub();
    journal.connects.add_permits(1);
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
    ask("POST", &target, words(&["one", "two"])).await;
    journal.lines(1).await;
    ask("DELETE", &target, String::new()).await;
    journal.steps.add_permits(1);
    assert_eq!(journal.lines(3).await, ["connected", "one", "left"]);
    journal.steps.add_permits(1);
    assert_eq!(journal.lines(4).await[3], "two after");
}
