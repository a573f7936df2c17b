//! What an observer hears of connections and calls.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use parking_lot::Mutex;
use serde_json::json;
use signalr::{
    ConnectionEnd, Context, Hub, HubError, HubObserver, HubServer, ObservedInvocation,
    TransportKind,
    protocol::{Headers, HubProtocol},
};
use tokio::net::TcpStream;

use crate::client::{Client, PATIENCE};

struct Greeter;

impl Hub for Greeter {
    async fn on_connected(&self, context: &Context) -> Result<(), HubError> {
        let caller = context.clients().caller();
        caller.send("Welcome", (context.connection_id(),)).await;
        Ok(())
    }
}

/// Notes what it hears, but for bytes, which are only added up.
#[derive(Default)]
struct Ear {
    lines: Mutex<Vec<String>>,
    bytes: Mutex<(usize, usize)>,
}

impl Ear {
    fn note(&self, line: String) {
        self.lines.lock().push(line);
    }

    async fn heard(&self, line: &str) {
        let heard = async {
            while !self.lines.lock().iter().any(|each| each == line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, heard).await;
        assert!(waited.is_ok(), "{line:?} in {:?}", self.lines.lock());
    }
}

impl HubObserver for Ear {
    fn attached(&self, transport: TransportKind) {
        self.note(format!("attached {}", transport.name()));
    }

    fn established(&self, transport: TransportKind, protocol: HubProtocol) {
        self.note(format!(
            "established {} {}",
            transport.name(),
            protocol.name()
        ));
    }

    fn ended(&self, end: &ConnectionEnd) {
        assert!(ConnectionEnd::REASONS.contains(&end.reason));
        let protocol = end.protocol.map_or("none", HubProtocol::name);
        self.note(format!(
            "ended {protocol} {} {}",
            end.reason,
            end.status.name()
        ));
    }

    fn received(&self, _: TransportKind, messages: usize, bytes: usize) {
        self.note(format!("received {messages}"));
        self.bytes.lock().0 += bytes;
    }

    fn sent(&self, _: TransportKind, _: usize, bytes: usize) {
        self.bytes.lock().1 += bytes;
    }

    fn invoked(&self, call: &ObservedInvocation<'_>) {
        let known = if call.known { call.method } else { "unknown" };
        self.note(format!("invoked {known} {}", call.outcome.name()));
    }

    fn span(&self, method: &str, headers: &Headers<'_>) -> tracing::Span {
        let parent = headers.0.iter().find(|(name, _)| name == "traceparent");
        if let Some((_, parent)) = parent {
            self.note(format!("span {method} {parent}"));
        }
        tracing::Span::none()
    }
}

async fn serve() -> (Arc<Ear>, HubServer, SocketAddr) {
    let ear = Arc::new(Ear::default());
    let hub = HubServer::builder(Greeter)
        .method("Double", async |number: i32| number * 2)
        .method("Break", async || -> Result<(), HubError> {
            Err(HubError::internal("IOException", "the disk is gone"))
        })
        .observer(Arc::clone(&ear))
        .build()
        .unwrap();
    let app = Router::new().layer(hub.layer("/hub"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (ear, hub, address)
}

#[tokio::test]
async fn a_connection_is_told_from_its_transport_to_its_end() {
    for protocol in HubProtocol::ALL {
        let (ear, _hub, address) = serve().await;
        let mut client = Client::connect(address, "ada", protocol).await;
        assert_eq!(client.invoke("DOUBLE", (4,)).await, json!(8));
        for unanswered in ["Break", "Nowhere"] {
            client
                .send(|protocol, out| {
                    protocol
                        .write_invocation(out, None, unanswered, &(), &[])
                        .unwrap();
                })
                .await;
        }
        ear.heard("invoked unknown refused").await;
        client.close().await;
        let name = protocol.name();
        let end = format!("ended {name} client-closed normal_closure");
        ear.heard(&end).await;
        let established = format!("established WebSockets {name}");
        let expected = [
            "attached WebSockets",
            &established,
            "received 1",
            "invoked Double completed",
            "received 1",
            "invoked Break failed",
            "received 1",
            "invoked unknown refused",
            &end,
        ];
        let mut lines = ear.lines.lock().clone();
        // A call is told where it ends, which may be behind the count of its message.
        let mut expected = expected.map(str::to_owned).to_vec();
        lines.sort();
        expected.sort();
        assert_eq!(lines, expected);
        let (received, sent) = *ear.bytes.lock();
        assert!(received > 20 && sent > 20, "{received} {sent}");
    }
}

#[tokio::test]
async fn a_call_with_a_trace_is_told_with_it() {
    let (ear, _hub, address) = serve().await;
    let mut client = Client::connect(address, "ada", HubProtocol::Json).await;
    client
        .send(|_, out| {
            out.extend_from_slice(
                b"{\"type\":1,\"headers\":{\"traceparent\":\"00-0af7-01\"},\"target\":\"double\",\
                  \"arguments\":[1]}\x1e",
            );
        })
        .await;
    ear.heard("span Double 00-0af7-01").await;
}

#[tokio::test]
async fn one_that_never_shook_hands_has_no_protocol_and_a_drain_is_a_shutdown() {
    let (ear, hub, address) = serve().await;
    let client = Client::connect(address, "ada", HubProtocol::Json).await;
    let url = format!("ws://{address}/hub?user=ada");
    let (silent, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    ear.heard("established WebSockets json").await;
    let silent: TcpStream = match silent.into_inner() {
        tokio_tungstenite::MaybeTlsStream::Plain(stream) => stream,
        other => panic!("{other:?}"),
    };
    drop(silent);
    ear.heard("ended none transport-lost normal_closure").await;
    hub.drain(Duration::ZERO).await;
    ear.heard("ended json server-shutdown app_shutdown").await;
    drop(client);
}
