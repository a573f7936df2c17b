//! The shared side of RabbitMQ, against a real broker.

#![expect(
    clippy::unwrap_used,
    reason = "what a test sets up must work, or the test fails"
)]

mod session;
mod queues;
mod link;
mod encrypted;

use std::{path::PathBuf, time::Duration};

use broker::{Broker, BrokerConfig};

/// How long a test waits for anything at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings for the broker at `url`, with short times.
fn config(url: &str) -> BrokerConfig {
    BrokerConfig {
        url: Some(url.to_owned().into()),
        ca_file: None::<PathBuf>,
        request_queue: "requests".into(),
        result_queue: "results".into(),
        delivery_limit: 3,
        max_length: 100,
        heartbeat: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(5),
    }
}

fn broker(url: &str) -> Broker {
    config(url).broker().unwrap().unwrap()
}
