//! Calls in both directions that ASP.NET Core 10 does otherwise, or not at all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use futures_util::{Stream, stream};
use http::Request;
use parking_lot::Mutex;
use serde_json::json;
use signalr::{
    CancellationToken, Context, Hub, HubError, HubOptions, HubServer, InvokeError, State,
    protocol::HubProtocol::Json,
};
use tower::ServiceExt as _;

use crate::client::{Client, Received};

/// Keeps the context of each client, and what asking inside of the connect gave.
#[derive(Default)]
struct Lab {
    kept: Mutex<Vec<Context>>,
    asked: Mutex<Option<Result<String, InvokeError>>>,
    produced: AtomicUsize,
}

impl Hub for Lab {
    async fn on_connected(&self, context: &Context) -> Result<(), HubError> {
        let caller = context.clients().caller();
        let answer = caller.invoke("Question", ()).await;
        *self.asked.lock() = Some(answer);
        self.kept.lock().push(context.clone());
        caller.send("Welcome", (context.connection_id(),)).await;
        Ok(())
    }
}

async fn wait(token: CancellationToken) -> &'static str {
    token.cancelled().await;
    "cancelled"
}

async fn produce(
    lab: State<Arc<Lab>>,
    items: usize,
) -> impl Stream<Item = String> + Send + 'static {
    stream::iter(0..items).map_with(move || {
        lab.produced.fetch_add(1, Ordering::SeqCst);
        "x".repeat(1024)
    })
}

/// `map` without the item.
trait MapWith: Stream + Sized {
    fn map_with<T>(self, make: impl Fn() -> T) -> impl Stream<Item = T> {
        futures_util::StreamExt::map(self, move |_| make())
    }
}

impl<S: Stream> MapWith for S {}

fn lab(options: HubOptions) -> (Arc<Lab>, HubServer) {
    let lab = Arc::new(Lab::default());
    let hub = HubServer::builder(Arc::clone(&lab))
        .method("Wait", wait)
        .streaming_method("Produce", produce)
        .options(options)
        .build()
        .unwrap();
    (lab, hub)
}

async fn serve(hub: &HubServer) -> SocketAddr {
    let app = Router::new().layer(hub.layer("/hub"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn a_plain_invocation_can_be_cancelled() {
    let (_, hub) = lab(HubOptions::default());
    let mut client = Client::connect(serve(&hub).await, "ada", Json).await;
    client
        .send(|protocol, out| {
            protocol
                .write_invocation(out, Some("7"), "Wait", &(), &[])
                .unwrap();
            // Of one that is not there nothing is said.
            protocol.write_cancel_invocation(out, "8");
            protocol.write_cancel_invocation(out, "7");
        })
        .await;
    assert_eq!(client.next().await, Received::Result(json!("cancelled")));
}

#[tokio::test]
async fn only_on_connected_may_not_ask_its_client() {
    let (lab, hub) = lab(HubOptions::default());
    let mut client = Client::connect(serve(&hub).await, "ada", Json).await;
    // An answer shows that `on_connected` is over.
    client
        .send(|protocol, out| {
            protocol
                .write_invocation(out, Some("1"), "Unknown", &(), &[])
                .unwrap();
        })
        .await;
    assert!(matches!(client.next().await, Received::Failed(_)));
    assert_eq!(*lab.asked.lock(), Some(Err(InvokeError::InsideConnect)));
    // The same context later, and a context from outside, may.
    let kept = lab.kept.lock()[0].clone();
    let caller = kept.clients().caller();
    let answering = async {
        let id = client.question().await;
        client.answer(&id, "because").await;
    };
    let (answer, ()) = tokio::join!(caller.invoke::<String, _>("Question", ()), answering);
    assert_eq!(answer.unwrap(), "because");
}

/// A long-polling client that starts the stream and never polls for it; gives
/// how many items are produced when no more are.
async fn produced(options: HubOptions, items: usize) -> usize {
    let (lab, hub) = lab(options);
    let ask = async |method: &str, query: &str, body: String| {
        let request = Request::builder()
            .method(method)
            .uri(format!("/hub{query}"))
            .body(Body::from(body))
            .unwrap();
        let response = hub.service("/hub").oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    };
    let negotiated = ask("POST", "/negotiate?negotiateVersion=1", String::new()).await;
    let negotiated: serde_json::Value = serde_json::from_str(&negotiated).unwrap();
    let id = format!("?id={}", negotiated["connectionToken"].as_str().unwrap());
    ask("GET", &id, String::new()).await;
    let mut call = b"{\"protocol\":\"json\",\"version\":1}\x1e".to_vec();
    Json.write_stream_invocation(&mut call, "1", "Produce", &(items,), &[])
        .unwrap();
    ask("POST", &id, String::from_utf8(call).unwrap()).await;
    loop {
        let before = lab.produced.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(300)).await;
        if before > 0 && lab.produced.load(Ordering::SeqCst) == before {
            return before;
        }
    }
}

#[tokio::test]
async fn a_stream_waits_for_its_client_unless_its_buffer_has_no_limit() {
    let limited = HubOptions {
        transport_max_buffer_size: 16 * 1024,
        ..HubOptions::default()
    };
    assert!(produced(limited, 500).await < 20);
    let unlimited = HubOptions {
        transport_max_buffer_size: 0,
        ..HubOptions::default()
    };
    assert_eq!(produced(unlimited.clone(), 500).await, 500);
    // The bound of every client stays.
    let bounded = HubOptions {
        maximum_send_queue_size: 100 * 1024,
        ..unlimited
    };
    assert!(produced(bounded, 500).await < 120);
}
