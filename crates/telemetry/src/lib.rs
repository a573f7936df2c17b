//! What both services tell of themselves: counters that Prometheus reads
//! ([`metrics`], [`process`]), traces that go out by OTLP ([`trace`], `otlp`),
//! and their logs ([`start`]).
//!
//! It knows no metric, span or line of a service. Nothing here waits for
//! whoever listens: a collector that is away costs a bounded queue.

pub mod metrics;
pub mod process;
pub mod trace;
mod otlp;
mod logs;

pub use logs::{FilterError, Service, StartError, Telemetry, log_filter, set_log_filter, start};
