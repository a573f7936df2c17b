//! What is declared, and what happens when it exists otherwise.

use std::time::Duration;

use broker::lapin::{
    options::{BasicRejectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use private_services::{AmqpClient, RabbitMq};
use tokio::time::{sleep, timeout};

use crate::{PATIENCE, broker, config, session::KeptUp};

#[tokio::test]
async fn the_queues_are_declared_and_found_again() {
    let url = RabbitMq::shared().await.new_vhost().await;
    for _ in 0..2 {
        let kept = KeptUp::start(broker(&url));
        kept.until_working(true).await;
        kept.stop().await.unwrap();
    }
    let client = AmqpClient::connect(&url).await;
    for queue in [
        "requests",
        "requests.dead-letter",
        "results",
        "results.dead-letter",
    ] {
        assert_eq!(client.depth(queue).await, Some(0), "{queue}");
    }
}

/// A message that is never settled is given up after its deliveries, once.
#[tokio::test]
async fn what_nobody_settles_is_dead_lettered_at_the_limit() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let kept = KeptUp::start(broker(&url));
    kept.until_working(true).await;
    kept.stop().await.unwrap();
    let client = AmqpClient::connect(&url).await;
    client.publish("requests", b"poison").await;
    let mut deliveries = 0;
    // A reject has no answer, so that its effect is waited for.
    while client.depth("requests.dead-letter").await == Some(0) {
        if let Some(message) = client.get("requests").await {
            deliveries += 1;
            let requeue = BasicRejectOptions { requeue: true };
            message.delivery.acker.reject(requeue).await.unwrap();
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.take("requests.dead-letter").await, b"poison");
    assert_eq!(deliveries, 4, "the limit of three, and the first one");
    assert_eq!(client.depth("requests").await, Some(0));
}

#[tokio::test]
async fn a_queue_that_exists_otherwise_is_named_with_what_differs() {
    let rabbit = RabbitMq::shared().await;
    let table = |name: &str, value: AMQPValue| {
        let mut table = FieldTable::default();
        table.insert(name.into(), value);
        table
    };
    let quorum = || table("x-queue-type", AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let transient = QueueDeclareOptions::default();
    for (name, options, arguments, differs, setting) in [
        (
            "requests",
            durable,
            FieldTable::default(),
            // Which of the many is named first is the broker's affair.
            "x-",
            "RabbitMq__RequestQueue",
        ),
        (
            "requests",
            durable,
            quorum(),
            "x-dead-letter-exchange",
            "RabbitMq__RequestQueue",
        ),
        (
            "results",
            transient,
            FieldTable::default(),
            "durable",
            "RabbitMq__ResultQueue",
        ),
        (
            "results.dead-letter",
            durable,
            quorum(),
            "x-max-length",
            "RabbitMq__ResultQueue",
        ),
    ] {
        let url = rabbit.new_vhost().await;
        let client = AmqpClient::connect(&url).await;
        let channel = client.channel().await;
        channel
            .queue_declare(name.into(), options, arguments)
            .await
            .unwrap();
        let kept = KeptUp::start(broker(&url));
        let conflict = timeout(PATIENCE, kept.task).await.unwrap().unwrap();
        let conflict = conflict.unwrap_err();
        assert_eq!(conflict.name, name);
        assert!(conflict.property.starts_with(differs), "{conflict:?}");
        let text = conflict.to_string();
        assert!(
            text.contains(name) && text.contains(differs) && text.contains(setting),
            "{text}"
        );
    }
}

#[tokio::test]
async fn another_delivery_limit_than_before_is_a_conflict() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let kept = KeptUp::start(broker(&url));
    kept.until_working(true).await;
    kept.stop().await.unwrap();
    let mut other = config(&url);
    other.delivery_limit = 7;
    let kept = KeptUp::start(other.broker().unwrap().unwrap());
    let conflict = timeout(PATIENCE, kept.task).await.unwrap().unwrap();
    assert_eq!(conflict.unwrap_err().property, "x-delivery-limit");
}
