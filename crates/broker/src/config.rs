//! The `[rabbitmq]` section, the same in both services.

use std::{fs, io, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use settings::{
    Kind::{Number, Secret, Text},
    Problems, Variable, duration,
};

use crate::{Address, AddressError, Broker, Topology};

/// AMQP's short strings hold 255 bytes, and dead-letter queues have longer names.
const LONGEST_NAME: usize = 200;

/// How the broker is reached, and its queues.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// Its address. Without one there is no broker.
    #[serde(default)]
    pub url: Option<SecretString>,
    /// Certificates of a private CA, in PEM, for `amqps://`.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The queue of jobs.
    pub request_queue: String,
    /// The queue of outside answers.
    pub result_queue: String,
    /// Deliveries of one message.
    pub delivery_limit: u32,
    /// Messages in one queue.
    pub max_length: u32,
    /// Between two signs of life.
    #[serde(with = "duration")]
    pub heartbeat: Duration,
    /// Until a connection stands.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
}

/// Why the broker's settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address is none; the checks at start refuse that before.
    #[error("the broker's address cannot be used")]
    Address(#[from] AddressError),
    /// The certificates cannot be read.
    #[error("cannot read the certificates {path}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl BrokerConfig {
    /// The variables of the section `[rabbitmq]`.
    pub const VARIABLES: &[Variable] = &[
        ("RABBITMQ_URL", "rabbitmq.url", Secret),
        ("AMQP_URL", "rabbitmq.url", Secret),
        ("CLOUDAMQP_URL", "rabbitmq.url", Secret),
        ("RabbitMq__Url", "rabbitmq.url", Secret),
        ("RabbitMq__CaFile", "rabbitmq.ca_file", Text),
        ("RabbitMq__RequestQueue", "rabbitmq.request_queue", Text),
        ("RabbitMq__ResultQueue", "rabbitmq.result_queue", Text),
        ("RabbitMq__DeliveryLimit", "rabbitmq.delivery_limit", Number),
        ("RabbitMq__MaxLength", "rabbitmq.max_length", Number),
        ("RabbitMq__Heartbeat", "rabbitmq.heartbeat", Number),
        (
            "RabbitMq__ConnectTimeout",
            "rabbitmq.connect_timeout",
            Number,
        ),
    ];

    /// Finds everything that is wrong.
    pub fn check(&self, problems: &mut Problems) {
        if let Some(url) = &self.url
            && let Err(error) = Address::parse(url.expose_secret())
        {
            problems.add("rabbitmq.url", error.to_string());
        }
        for (key, name) in [
            ("rabbitmq.request_queue", &self.request_queue),
            ("rabbitmq.result_queue", &self.result_queue),
        ] {
            let plain = !name.chars().any(char::is_control) && !name.starts_with("amq.");
            if !plain || !(1..=LONGEST_NAME).contains(&name.len()) {
                problems.add(key, "expected 1 to 200 bytes that do not begin with amq.");
            }
        }
        if self.request_queue == self.result_queue {
            problems.add("rabbitmq.result_queue", "is the request queue");
        }
        if !(1..=1_000).contains(&self.delivery_limit) {
            problems.add("rabbitmq.delivery_limit", "expected 1 to 1000");
        }
        if self.max_length == 0 {
            problems.add("rabbitmq.max_length", "must be at least 1");
        }
        let seconds = Duration::from_secs;
        for (key, given, most) in [
            ("rabbitmq.heartbeat", self.heartbeat, seconds(600)),
            (
                "rabbitmq.connect_timeout",
                self.connect_timeout,
                seconds(60),
            ),
        ] {
            if !(seconds(1)..=most).contains(&given) {
                problems.add(key, format!("expected 1s to {most:?}"));
            }
        }
    }

    /// The broker, where one is configured.
    ///
    /// # Errors
    /// [`SetupError`] when its address or certificates cannot be used.
    pub fn broker(&self) -> Result<Option<Broker>, SetupError> {
        let Some(url) = &self.url else {
            return Ok(None);
        };
        let ca = match &self.ca_file {
            Some(path) => Some(fs::read_to_string(path).map_err(|source| SetupError::Ca {
                path: path.clone(),
                source,
            })?),
            None => None,
        };
        Ok(Some(Broker {
            address: Address::parse(url.expose_secret())?,
            ca,
            topology: Topology::new(
                &self.request_queue,
                &self.result_queue,
                self.delivery_limit,
                self.max_length,
            ),
            heartbeat: self.heartbeat,
            connect_timeout: self.connect_timeout,
        }))
    }
}
