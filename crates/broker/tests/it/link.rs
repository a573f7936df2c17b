//! A session that is rebuilt, whatever ended it.

use std::time::Duration;

use private_services::{AmqpClient, RabbitMq};

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
