//! A session that is rebuilt, whatever ended it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use private_services::{AmqpClient, RabbitMq};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{broker, session::KeptUp};

#[tokio::test]
async fn a_deleted_queue_is_made_again() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let mut kept = KeptUp::start(broker(&url));
    kept.until_working(true).await;
    let client = AmqpClient::connect(&url).await;
    client.delete("requests").await;
    kept.until_working(false).await;
    kept.until_working(true).await;
    client.publish("requests", b"after").await;
    assert_eq!(kept.next().await, b"after");
    assert!(kept.state.report().broken >= 1);
}

#[tokio::test]
async fn a_wrong_password_is_told_without_it_and_tried_again() {
    let rabbit = RabbitMq::shared().await;
    let url = rabbit.url().replace("guest:guest", "guest:not-this-one");
    let kept = KeptUp::start(broker(&url));
    while kept.state.report().broken < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let error = kept.state.report().last_error.unwrap();
    assert!(error.contains("ACCESS_REFUSED"), "{error}");
    assert!(!error.contains("not-this-one"), "{error}");
    kept.stop().await.unwrap();
}

/// One broker of its own, which is killed, frozen and made impatient.
#[tokio::test]
async fn the_session_survives_what_befalls_the_broker() {
    let mut rabbit = RabbitMq::start().await.unwrap();
    let mut kept = KeptUp::start(broker(&rabbit.url()));
    kept.until_working(true).await;

    rabbit.process.kill().await.unwrap();
    kept.until_working(false).await;
    rabbit.process.start_again().await.unwrap();
    kept.until_working(true).await;
    let client = AmqpClient::connect(&rabbit.url()).await;
    client.publish("requests", b"after the kill").await;
    assert_eq!(kept.next().await, b"after the kill");

    // Nothing is closed and nothing answers: only heartbeats tell.
    rabbit.process.freeze().await.unwrap();
    kept.until_working(false).await;
    rabbit.process.thaw().await.unwrap();
    kept.until_working(true).await;
    let client = AmqpClient::connect(&rabbit.url()).await;
    client.publish("requests", b"after the frost").await;
    assert_eq!(kept.next().await, b"after the frost");

    // A broker that is not there at the start is waited for.
    rabbit.process.stop().await.unwrap();
    let late = KeptUp::start(broker(&rabbit.url()));
    while late.state.report().broken == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rabbit.process.start_again().await.unwrap();
    late.until_working(true).await;
    late.stop().await.unwrap();
    kept.stop().await.unwrap();
}

/// The broker hears that the client leaves, not that its connection broke.
#[tokio::test]
async fn who_leaves_says_goodbye_first() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let authority = url.split('@').nth(1).unwrap().split('/').next().unwrap();
    let (port, said) = overhear(authority.to_owned()).await;
    let kept = KeptUp::start(broker(
        &url.replace(authority, &format!("127.0.0.1:{port}")),
    ));
    kept.until_working(true).await;
    // connection.close, class 10 and method 50 of AMQP 0-9-1, with its code.
    let goodbye = [0, 10, 0, 50, 0, 200];
    let heard = || {
        said.lock()
            .unwrap()
            .windows(6)
            .any(|bytes| bytes == goodbye)
    };
    assert!(!heard());
    kept.stop().await.unwrap();
    assert!(heard());
}

/// A way to the broker on which what the client says is heard.
async fn overhear(broker: String) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&broker).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
            });
            let heard = Arc::clone(&heard);
            tokio::spawn(async move {
                let mut bytes = vec![0; 4096];
                while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
                    heard.lock().unwrap().extend_from_slice(&bytes[..length]);
                    if to_server.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, said)
}
