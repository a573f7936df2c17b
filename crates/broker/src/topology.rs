//! The queues, and how they are declared.
//!
//! Both queues are durable quorum queues. What cannot be handled goes to a
//! dead-letter queue of their own, at least once: an at-most-once dead letter
//! could vanish with the broker, and with it the word that a job failed.

use std::time::Duration;

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::timeout;

use crate::{
    error::{Conflict, LinkError, precondition},
    link::Link,
};

/// A broker with many queues to sync answers a declaration late.
const PATIENCE: Duration = Duration::from_secs(20);

/// Dead letters of results that are kept for an operator to look at.
const MOST_REFUSED_RESULTS: u32 = 10_000;

/// One queue with its dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    name: String,
    /// The variable that names it.
    setting: &'static str,
    delivery_limit: u32,
    max_length: u32,
    /// The most dead letters; the oldest go first. `None`: as many as there are.
    most_dead_letters: Option<u32>,
}

/// The queues of requests and results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Carries "job N is ready" from hub to worker.
    pub requests: Queue,
    /// Carries answers of outside analysers to the worker.
    pub results: Queue,
}

impl Topology {
    pub(crate) fn new(requests: &str, results: &str, delivery_limit: u32, max_length: u32) -> Self {
        Self {
            requests: Queue {
                name: requests.to_owned(),
                setting: "RabbitMq__RequestQueue",
                delivery_limit,
                max_length,
                most_dead_letters: None,
            },
            results: Queue {
                name: results.to_owned(),
                setting: "RabbitMq__ResultQueue",
                delivery_limit,
                max_length,
                most_dead_letters: Some(MOST_REFUSED_RESULTS),
            },
        }
    }

    /// Declares everything; what is there as it should be is left as it is.
    pub(crate) async fn declare(&self, link: &Link) -> Result<(), LinkError> {
        for queue in [&self.requests, &self.results] {
            // An error closes the channel, and the next queue needs one.
            let channel = link.channel().await?;
            timeout(PATIENCE, queue.declare(&channel))
                .await
                .unwrap_or(Err(LinkError::TimedOut("declaring the queues")))?;
            // The declarations are done; whatever comes of this changes none.
            let _ = timeout(PATIENCE, channel.close(200, "done".into())).await;
        }
        Ok(())
    }
}

impl Queue {
    /// The queue.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The queue of its dead letters, and the exchange that they come by.
    #[must_use]
    pub fn dead_letters(&self) -> String {
        format!("{}.dead-letter", self.name)
    }

    async fn declare(&self, channel: &Channel) -> Result<(), LinkError> {
        let dead_letters = self.dead_letters();
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        channel
            .exchange_declare(
                dead_letters.as_str().into(),
                ExchangeKind::Direct,
                durable,
                FieldTable::default(),
            )
            .await
            .map_err(|error| self.conflict("the exchange", &dead_letters, error))?;
        let mut arguments = quorum();
        if let Some(most) = self.most_dead_letters {
            arguments.insert("x-max-length".into(), integer(most));
        }
        self.declare_queue(channel, &dead_letters, arguments)
            .await?;
        channel
            .queue_bind(
                dead_letters.as_str().into(),
                dead_letters.as_str().into(),
                self.name.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        self.declare_queue(channel, &self.name, self.arguments())
            .await
    }

    /// At-least-once dead-lettering needs `reject-publish`: a full queue
    /// refuses what is published to it, and drops nothing.
    fn arguments(&self) -> FieldTable {
        let mut arguments = quorum();
        for (name, value) in [
            ("x-dead-letter-exchange", text(&self.dead_letters())),
            ("x-dead-letter-routing-key", text(&self.name)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
            ("x-delivery-limit", integer(self.delivery_limit)),
            ("x-max-length", integer(self.max_length)),
        ] {
            arguments.insert(name.into(), value);
        }
        arguments
    }

    async fn declare_queue(
        &self,
        channel: &Channel,
        name: &str,
        arguments: FieldTable,
    ) -> Result<(), LinkError> {
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(name.into(), options, arguments)
            .await
            .map(drop)
            .map_err(|error| self.conflict("the queue", name, error))
    }

    fn conflict(&self, what: &'static str, name: &str, error: lapin::Error) -> LinkError {
        match precondition(&error) {
            Some(detail) => LinkError::Conflict(Conflict {
                what,
                name: name.to_owned(),
                property: quoted(&detail).unwrap_or("property").to_owned(),
                detail,
                setting: self.setting,
            }),
            None => error.into(),
        }
    }
}

/// "inequivalent arg 'x-queue-type' for queue ..": the first word in quotes.
fn quoted(detail: &str) -> Option<&str> {
    detail.split('\'').nth(1).filter(|word| !word.is_empty())
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn integer(value: u32) -> AMQPValue {
    AMQPValue::LongLongInt(value.into())
}
