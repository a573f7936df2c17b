//! The official npm client over every transport, with every protocol that the
//! transport can carry.

use crate::program;
use crate::server::Server;

/// The tests in `js/suite.mjs`.
const TESTS: usize = 30;

async fn suite(transport: &str, protocol: &str) {
    let server = Server::start().await;
    let mut node = program::node("suite.mjs");
    node.env("HUBS", format!("http://{}", server.address))
        .env("TRANSPORT", transport)
        .env("PROTOCOL", protocol);
    program::run_tests(&mut node, TESTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_sockets_json() {
    suite("WebSockets", "json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_sockets_messagepack() {
    suite("WebSockets", "messagepack").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_json() {
    suite("ServerSentEvents", "json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_polling_json() {
    suite("LongPolling", "json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_polling_messagepack() {
    suite("LongPolling", "messagepack").await;
}
