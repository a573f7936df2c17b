//! The official npm client behind a proxy that cuts its connections.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use signalr::ConnectionId;

use crate::program;
use crate::proxy::Proxy;
use crate::server::Server;

/// A cut connection is replaced by a new one, and the server forgets the old.
async fn automatic(transport: &str, protocol: &str) {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address, seed()).await;
    let mut node = program::node("reconnect.mjs");
    node.env("HUBS", format!("http://{}", proxy.address))
        .env("CUT_PORT", proxy.cut_port.to_string())
        .env("TRANSPORT", transport)
        .env("PROTOCOL", protocol);
    let out = program::run_tests(&mut node, 2).await;
    let ended = program::said(&out, "ENDED ");
    assert_eq!(ended.len(), 3, "{out}");
    for id in ended {
        let id = ConnectionId::parse(id).unwrap();
        while server.meadow.end_of(id).is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_over_web_sockets() {
    automatic("WebSockets", "messagepack").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_over_server_sent_events() {
    automatic("ServerSentEvents", "json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_over_long_polling() {
    automatic("LongPolling", "json").await;
}

/// Numbers that flow each way.
const COUNT: u64 = 2_000;

/// Another one each time; a failure shows it.
fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_nanos() as u64
}

/// Cut at any byte, both ways, dozens of times: nothing is lost, nothing comes
/// twice, the order holds, and it is the same connection all along.
async fn stateful(protocol: &str) {
    let server = Server::start().await;
    let seed = seed();
    let proxy = Proxy::start(server.address, seed).await;
    let mut node = program::node("stateful.mjs");
    node.env("HUBS", format!("http://{}", proxy.address))
        .env("CUT_PORT", proxy.cut_port.to_string())
        .env("COUNT", COUNT.to_string())
        .env("SEED", seed.to_string())
        .env("TRANSPORT", "WebSockets")
        .env("PROTOCOL", protocol);
    let out = program::run_tests(&mut node, 4).await;
    assert!(proxy.cuts() > 20, "only {} cuts", proxy.cuts());
    let flowed = program::said(&out, "FLOWED ");
    assert_eq!(flowed.len(), 3, "{out}");
    let all: Vec<u64> = (0..COUNT).collect();
    for id in flowed {
        let id = ConnectionId::parse(id).unwrap();
        assert_eq!(server.meadow.noted(id), all);
        assert_eq!(server.meadow.uploaded(id), all);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stateful_json() {
    stateful("json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stateful_messagepack() {
    stateful("messagepack").await;
}
