//! The end-to-end tests' tools: real processes that can be killed and started
//! again, the official client, a network that can be cut, and photos.
//!
//! This crate owns what surrounds the system under test. It never looks inside
//! it: whatever it knows, it knows by the public surface.

pub mod set;
pub mod system;
pub mod service;
pub mod process;
pub mod binaries;
pub mod ports;
pub mod small_disk;
pub mod api;
pub mod token;
pub mod photo;
pub mod clients;
pub mod balancer;
pub mod chaos_proxy;
pub mod webhook;
pub mod collector;
pub mod log_check;
pub mod faults;

pub use api::Api;
pub use balancer::Balancer;
pub use chaos_proxy::ChaosProxy;
pub use clients::{Client, Clients, ConnectionOptions};
pub use collector::{CollectedLine, CollectedSpan, Collector};
pub use service::Service;
pub use set::{Bucket, Parts, Set};
pub use small_disk::SmallDisk;
pub use system::{System, SystemOptions};
pub use webhook::Webhook;
