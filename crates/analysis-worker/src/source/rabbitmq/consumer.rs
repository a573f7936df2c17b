//! The worker's connection to RabbitMQ: one consumer for jobs, one for outside
//! answers, rebuilt together whenever anything breaks.

use std::{sync::Arc, time::Duration};

use broker::{
    Broker, Conflict, Consuming, Link, LinkError, LinkState, Session, give_back, keep_up,
    lapin::message::Delivery,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{RabbitMqSource, results::Results};
use crate::{hub::Hub, shutdown::Shutdown};

/// Outside answers that wait here at most.
const RESULTS_PREFETCH: u16 = 4;

/// The task that keeps the worker connected.
#[derive(Debug)]
pub(crate) struct RabbitMq {
    broker: Broker,
    name: String,
    state: Arc<LinkState>,
    consumer: Consumer,
    /// Attempts are over and settled: the connection may end.
    closing: CancellationToken,
}

#[derive(Debug)]
struct Consumer {
    requests: String,
    slots: u16,
    deliveries: mpsc::Sender<Delivery>,
    results: Results,
    leaving: CancellationToken,
    closing: CancellationToken,
}

impl RabbitMq {
    /// The task, and the source that claims what it is given. No more than
    /// `slots` deliveries are here at a time, so that a worker with slow jobs
    /// takes none away from others.
    pub(crate) fn new(
        broker: Broker,
        hub: &Arc<Hub>,
        (worker_id, slots, poll): (String, usize, Duration),
        shutdown: &Shutdown,
        closing: CancellationToken,
    ) -> (Self, RabbitMqSource) {
        let state = Arc::new(LinkState::default());
        let (sender, deliveries) = mpsc::channel(slots.max(1));
        let topology = broker.topology();
        let consumer = Consumer {
            requests: topology.requests.name().to_owned(),
            slots: u16::try_from(slots.max(1)).unwrap_or(u16::MAX),
            deliveries: sender,
            results: Results {
                queue: topology.results.name().to_owned(),
                hub: Arc::clone(hub),
                stop: shutdown.soft.clone(),
            },
            leaving: shutdown.soft.clone(),
            closing: closing.clone(),
        };
        let name = format!("tendril-worker {worker_id}");
        let hub = Arc::clone(hub);
        let source = RabbitMqSource::new(hub, worker_id, poll, deliveries, Arc::clone(&state));
        let task = Self {
            broker,
            name,
            state,
            consumer,
            closing,
        };
        (task, source)
    }

    /// For health.
    pub(crate) fn state(&self) -> Arc<LinkState> {
        Arc::clone(&self.state)
    }

    /// Keeps connected until the worker has left.
    pub(crate) async fn run(mut self) -> Result<(), Conflict> {
        let (state, closing) = (Arc::clone(&self.state), self.closing.clone());
        keep_up(
            &self.broker,
            &self.name,
            &state,
            &closing,
            &mut self.consumer,
        )
        .await
    }
}

impl Session for Consumer {
    async fn run(&mut self, link: &Link, state: &LinkState) -> Result<(), LinkError> {
        if self.leaving.is_cancelled() {
            return Ok(());
        }
        let mut jobs = link.consume(&self.requests, self.slots).await?;
        let mut answers = link.consume(&self.results.queue, RESULTS_PREFETCH).await?;
        state.works();
        tokio::select! {
            error = self.forward(&mut jobs) => return Err(error),
            error = self.results.bring(&mut answers, state) => return Err(error),
            silence = link.watch(&self.requests, true, state) => return Err(silence),
            () = self.leaving.cancelled() => {}
        }
        state.rests();
        jobs.leave().await;
        answers.leave().await;
        // What is under way is settled on this connection.
        self.closing.cancelled().await;
        Ok(())
    }
}

impl Consumer {
    async fn forward(&self, jobs: &mut Consuming) -> LinkError {
        loop {
            let delivery = match jobs.next().await {
                Ok(delivery) => delivery,
                Err(error) => return error,
            };
            if let Err(unwanted) = self.deliveries.send(delivery).await {
                // The worker is leaving, and nobody claims any more.
                give_back(&unwanted.0).await;
            }
        }
    }
}
