//! How long a hub lives: as long as anybody has it, its connections among them.

use std::{sync::Arc, time::Duration};

use axum::Router;
use futures_util::{SinkExt as _, StreamExt as _};
use signalr::{Hub, HubOptions, HubServer};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::PATIENCE,
    requests::{HELLO, Requests},
};

struct Held;
impl Hub for Held {}

async fn ends(held: &std::sync::Weak<Held>) {
    let ended = async {
        while held.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, ended).await;
    assert!(in_time.is_ok(), "something still holds the hub");
}

#[tokio::test]
async fn a_client_is_kept_alive_when_its_server_is_gone_and_the_hub_ends_with_it() {
    let hub = Arc::new(Held);
    let held = Arc::downgrade(&hub);
    let options = HubOptions {
        keep_alive_interval: Duration::from_millis(100),
        ..HubOptions::default()
    };
    let server = HubServer::builder(hub).options(options).build().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/hub", listener.local_addr().unwrap());
    let app = Router::new().layer(server.layer("/hub"));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    socket.send(Message::text(HELLO)).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert_eq!(answer.into_text().unwrap(), "{}\x1e");
    serving.abort();
    let _ = serving.await;
    drop(server);
    // More than those that may be on their way.
    for _ in 0..2 {
        let ping = tokio::time::timeout(PATIENCE, socket.next()).await;
        let ping = ping.expect("a Ping").unwrap().unwrap();
        assert_eq!(ping.into_text().unwrap(), "{\"type\":6}\x1e");
    }
    assert!(held.strong_count() > 0);
    drop(socket);
    ends(&held).await;
}

#[tokio::test]
async fn a_connection_that_was_never_attached_does_not_keep_the_hub() {
    let hub = Arc::new(Held);
    let held = Arc::downgrade(&hub);
    let options = HubOptions {
        disconnect_timeout: Duration::from_millis(100),
        ..HubOptions::default()
    };
    let server = HubServer::builder(hub).options(options).build().unwrap();
    Requests::to(&server).negotiate("").await;
    drop(server);
    ends(&held).await;
}
