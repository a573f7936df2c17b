//! Counters, gauges and histograms that cost an atomic addition, and their text.
//!
//! Each is a field of the service's own: nothing is looked up by name, locked
//! or allocated where something happens. Labels are the positions of a
//! [`Table`], fixed when the service starts, so that no traffic can make more
//! of them.

mod instruments;
mod histogram;
mod table;
mod exposition;

pub use exposition::{CONTENT_TYPE, Source, Writer, render};
pub use histogram::{Histogram, LATENCY, SIZES};
pub use instruments::{Counter, Gauge};
pub use table::{Axis, Table};
