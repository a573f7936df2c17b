//! The hub's side of the broker: jobs that are ready are announced ([`relay`]),
//! and what the broker could not deliver ends as Failed ([`dead_letters`]).
//!
//! The jobs table decides on everything. A message says that a job is ready
//! and nothing more: one that is lost is sent again, one that comes twice finds
//! the job taken. So this module never changes a job's state by itself, and
//! nothing here waits in memory: the table is the outbox.

mod relay;
mod dead_letters;
mod status;

use std::sync::Arc;

use broker::{Broker, SetupError, keep_up};
use tokio_util::sync::CancellationToken;

pub(crate) use status::{QueueFigures, QueueStatus};

use self::{dead_letters::DeadLetters, relay::Relay};
use crate::{
    config::{Config, RelayConfig},
    lifecycle::Tasks,
    store::Store,
};

/// The broker, as the hub uses it.
#[derive(Debug)]
pub(crate) struct Queue {
    broker: Broker,
    config: RelayConfig,
    status: Arc<QueueStatus>,
}

impl Queue {
    /// The broker, where one is configured.
    pub(crate) fn from_config(config: &Config) -> Result<Option<Self>, SetupError> {
        let Some(broker) = config.rabbitmq.broker()? else {
            return Ok(None);
        };
        tracing::info!(broker = %broker.address(), "jobs are announced over the broker");
        Ok(Some(Self {
            broker,
            config: config.relay,
            status: Arc::default(),
        }))
    }

    /// For health.
    pub(crate) fn status(&self) -> Arc<QueueStatus> {
        Arc::clone(&self.status)
    }

    /// Starts the two tasks. Each ends with `stop`, or with an error when the
    /// queues of its first connection cannot be used.
    pub(crate) fn spawn(&self, tasks: &mut Tasks, store: &Store, stop: &CancellationToken) {
        let requests = &self.broker.topology().requests;
        let mut relay = Relay {
            store: store.clone(),
            config: self.config,
            queue: requests.name().to_owned(),
            status: self.status(),
        };
        let mut letters = DeadLetters {
            store: store.clone(),
            queue: requests.dead_letters(),
            status: self.status(),
        };
        let (broker, status, stop_relay) = (self.broker.clone(), self.status(), stop.clone());
        tasks.spawn("job relay", async move {
            let name = "tendril-hub relay";
            keep_up(&broker, name, &status.relay, &stop_relay, &mut relay).await
        });
        // A connection of its own: one that publishes can be blocked by the
        // broker, and a blocked one settles nothing.
        let (broker, status, stop) = (self.broker.clone(), self.status(), stop.clone());
        tasks.spawn("dead letters", async move {
            let name = "tendril-hub dead letters";
            keep_up(&broker, name, &status.dead_letters, &stop, &mut letters).await
        });
    }
}
