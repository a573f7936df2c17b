//! A load tester for any SignalR server.
//!
//! It opens many connections as real clients do, makes the server send, and
//! counts what arrives: how much, how late, in what order, what never and what
//! twice. It owns its client, which is light, so that the machine's time goes
//! to the server; the codec of hub messages is that of [`signalr`]. It never
//! judges a server by figures that it limited itself, and loads nothing that
//! is not on this machine unless it is told to.
//!
//! How it is laid out: `arguments` says what to do, `scenario` does it with a
//! `crowd` of clients whose part is to listen (`listener`) or to call, and with
//! `posts`; `probe`, `tally` and `latency` measure; `report` tells.

mod arguments;
mod scenario;
mod run;
mod server;
mod target;
mod token;
mod crowd;
mod client;
mod link;
mod http;
mod websocket;
mod socket;
mod listener;
mod posts;
mod schedule;
mod probe;
mod tally;
mod latency;
mod measure;
mod process;
mod progress;
mod report;
mod fail_if;

pub use arguments::{Arguments, Common, JsonArray, Posting, Protocol, Scenario};
pub use fail_if::{FailIf, FailIfError, Metric};
pub use latency::Percentiles;
pub use link::Transport;
pub use process::ProcessError;
pub use report::{Condition, Report, ServerFigures};
pub use scenario::{RunError, run};
pub use target::{TargetError, Url};

impl Report {
    /// The report for a person.
    #[must_use]
    pub fn table(&self) -> String {
        report::table(self)
    }
}
