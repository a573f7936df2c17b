//! What the hub and the worker share about RabbitMQ: its address ([`Address`]),
//! the queues and their arguments ([`Topology`]), and a connection that is
//! rebuilt whenever it breaks or falls silent ([`keep_up`]).
//!
//! It moves no job and knows no message: what is published and what a delivery
//! means is the hub's and the worker's. It never shows a password.
//!
//! lapin's own recovery is not used. After a consumer timeout it never comes
//! back, and says nothing; here any error ends the session, and the next one
//! begins with a new connection, the queues declared, and a new consumer.

mod address;
mod config;
mod topology;
mod error;
mod link;
mod consuming;
mod state;
mod keep_up;

pub use address::{Address, AddressError};
pub use config::{BrokerConfig, SetupError};
pub use consuming::{Consuming, acknowledge, give_back, refuse};
pub use error::{Conflict, LinkError};
pub use keep_up::{Session, keep_up};
pub use lapin;
pub use link::Link;
pub use state::{LinkReport, LinkState};
pub use topology::{Queue, Topology};

use std::time::Duration;

/// A broker, ready to be connected to.
#[derive(Debug, Clone)]
pub struct Broker {
    address: Address,
    /// A private CA's certificates, in PEM.
    ca: Option<String>,
    topology: Topology,
    heartbeat: Duration,
    connect_timeout: Duration,
}

impl Broker {
    /// Where it is, for logs: without the password.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Its queues.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }
}
