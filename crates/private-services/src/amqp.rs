//! A plain AMQP client for tests: puts messages into queues, takes them out,
//! and looks how many there are.

use std::time::Duration;

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::BasicGetMessage,
    options::{
        BasicGetOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions,
        QueuePurgeOptions,
    },
    types::FieldTable,
};
use tokio::time::{Instant, sleep};

/// How long a test waits for anything at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection of a test. Each method panics where the broker fails it.
#[derive(Debug)]
pub struct AmqpClient {
    url: String,
    connection: Connection,
    channel: Channel,
}

impl AmqpClient {
    /// Connects to `url`.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn connect(url: &str) -> Self {
        let properties = ConnectionProperties::default();
        let connection = sure(Connection::connect(url, properties).await);
        let channel = sure(connection.create_channel().await);
        Self {
            url: url.to_owned(),
            connection,
            channel,
        }
    }

    /// A channel, for what this client has no method for.
    ///
    /// # Panics
    /// When the broker gives none.
    pub async fn channel(&self) -> Channel {
        sure(self.connection.create_channel().await)
    }

    /// Puts `body` into `queue`.
    ///
    /// # Panics
    /// When the broker fails.
    pub async fn publish(&self, queue: &str, body: &[u8]) {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default().with_delivery_mode(2);
        let published =
            self.channel
                .basic_publish("".into(), queue.into(), options, body, properties);
        sure(sure(published.await).await);
    }

    /// Takes a message out of `queue`, if there is one. It is not settled.
    ///
    /// # Panics
    /// When the broker fails.
    pub async fn get(&self, queue: &str) -> Option<BasicGetMessage> {
        let options = BasicGetOptions::default();
        sure(self.channel.basic_get(queue.into(), options).await)
    }

    /// Takes the next message out of `queue` for good, waiting for it.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn take(&self, queue: &str) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        let options = BasicGetOptions { no_ack: true };
        let mut channel = self.channel.clone();
        let mut connection;
        loop {
            match channel.basic_get(queue.into(), options).await {
                Ok(Some(message)) => return message.delivery.data,
                Ok(None) => {}
                // Right after a broker's start a queue may have no process yet,
                // and asking for it ends the connection.
                Err(_) => {
                    let properties = ConnectionProperties::default();
                    connection = sure(Connection::connect(&self.url, properties).await);
                    channel = sure(connection.create_channel().await);
                }
            }
            assert!(Instant::now() < deadline, "no message came to {queue}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Messages in `queue` that nobody was given, or `None` where there is no such queue.
    ///
    /// # Panics
    /// When the broker fails.
    pub async fn depth(&self, queue: &str) -> Option<u32> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let channel = self.channel().await;
        let found = channel.queue_declare(queue.into(), options, FieldTable::default());
        Some(found.await.ok()?.message_count())
    }

    /// Waits until `queue` is there and holds `count` messages that nobody was given.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn until_depth(&self, queue: &str, count: u32) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let depth = self.depth(queue).await;
            if depth == Some(count) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{queue} holds {depth:?}, not {count}"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Deletes `queue` with all that is in it.
    ///
    /// # Panics
    /// When the broker fails.
    pub async fn delete(&self, queue: &str) {
        let deleted = self
            .channel
            .queue_delete(queue.into(), QueueDeleteOptions::default());
        sure(deleted.await);
    }

    /// Takes all messages out of `queue` that nobody was given.
    ///
    /// # Panics
    /// When the broker fails.
    pub async fn purge(&self, queue: &str) {
        let purged = self
            .channel
            .queue_purge(queue.into(), QueuePurgeOptions::default());
        sure(purged.await);
    }
}

fn sure<T>(result: lapin::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the broker failed this test: {error}"),
    }
}
