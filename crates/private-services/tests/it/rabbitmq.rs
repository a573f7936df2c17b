//! RabbitMQ.

use std::time::Duration;

use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use private_services::RabbitMq;
use tokio::time::timeout;

async fn connect(url: &str) -> Connection {
    Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap()
}

async fn publish(url: &str, queue: &str, payload: &[u8]) {
    let channel = connect(url).await.create_channel().await.unwrap();
    let confirms = ConfirmSelectOptions::default();
    channel.confirm_select(confirms).await.unwrap();
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let mut quorum = FieldTable::default();
    quorum.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    channel
        .queue_declare(queue.into(), durable, quorum)
        .await
        .unwrap();
    let properties = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    let confirm = channel.basic_publish("".into(), queue.into(), options, payload, properties);
    assert!(confirm.await.unwrap().await.unwrap().is_ack());
}

async fn take(url: &str, queue: &str) -> lapin::Result<Option<Vec<u8>>> {
    let channel = connect(url).await.create_channel().await?;
    let options = BasicGetOptions { no_ack: true };
    let message = channel.basic_get(queue.into(), options).await?;
    Ok(message.map(|message| message.delivery.data))
}

#[tokio::test]
async fn each_virtual_host_of_the_shared_broker_is_empty() {
    let broker = RabbitMq::shared().await;
    let (one, other) = tokio::join!(broker.new_vhost(), broker.new_vhost());
    assert_ne!(one, other);
    publish(&one, "jobs", b"one").await;
    publish(&other, "jobs", b"other").await;
    assert_eq!(take(&one, "jobs").await.unwrap().unwrap(), b"one");
    assert_eq!(take(&other, "jobs").await.unwrap().unwrap(), b"other");
    assert_eq!(take(&other, "jobs").await.unwrap(), None);
}

/// One broker for all of it, as a broker takes seconds to start.
#[tokio::test]
async fn what_was_confirmed_is_there_after_freeze_kill_and_stop() {
    let mut broker = RabbitMq::start().await.unwrap();
    let url = broker.new_vhost().await;
    publish(&url, "jobs", b"first").await;
    broker.process.freeze().await.unwrap();
    let connecting = connect(&url);
    tokio::pin!(connecting);
    assert!(
        timeout(Duration::from_millis(300), &mut connecting)
            .await
            .is_err()
    );
    broker.process.thaw().await.unwrap();
    drop(connecting.await);
    // RabbitMQ 3.10 writes the register of its quorum queues half a second late:
    // one declared just before a kill has no leader ever after.
    tokio::time::sleep(Duration::from_secs(3)).await;
    broker.process.kill().await.unwrap();
    broker.process.start_again().await.unwrap();
    assert_eq!(take(&url, "jobs").await.unwrap().unwrap(), b"first");
    publish(&url, "jobs", b"second").await;
    broker.process.stop().await.unwrap();
    broker.process.start_again().await.unwrap();
    assert_eq!(take(&url, "jobs").await.unwrap().unwrap(), b"second");
    let sum = broker.evaluate("1 + 1.").await.unwrap();
    assert_eq!(sum, "2");
    assert!(broker.evaluate("erlang:error(no).").await.is_err());
}
