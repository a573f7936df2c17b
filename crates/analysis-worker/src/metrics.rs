//! The worker's figures: counted where things happen, read at `/metrics`.

use std::{fmt, time::Duration};

use telemetry::metrics::{Axis, Counter, Histogram, LATENCY, Source, Table, Writer};

use crate::{attempt::Outcome, hub::HubError};

/// Upper bounds in seconds of what takes as long as an analysis.
const MINUTES: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 240.0, 300.0, 600.0,
];

const OUTCOMES: [&str; 6] = ["done", "retry", "reject", "park", "hand_back", "lost"];

const HUB_CALLS: [&str; 7] = [
    "answered",
    "stale",
    "refused",
    "unavailable",
    "unreachable",
    "unreadable",
    "breaker_open",
];

/// What came of a call of the n8n webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum N8nCall {
    /// It answered with something to read.
    Answered,
    /// It answered that it will answer later.
    Parked,
    /// It answered with a status that is no success.
    Refused,
    /// It could not be reached, or broke off.
    Unreachable,
    /// It took too long.
    TimedOut,
}

const N8N_CALLS: [&str; 5] = ["answered", "parked", "refused", "unreachable", "timed_out"];

/// The figures.
#[derive(Debug)]
pub(crate) struct Figures {
    attempts: Table<Counter, 1>,
    attempt: Histogram,
    hub_calls: Table<Counter, 1>,
    hub: Histogram,
    n8n_calls: Table<Counter, 1>,
    n8n: Histogram,
}

impl Default for Figures {
    fn default() -> Self {
        let table = |values: &[&str]| {
            let axis = Axis::new("outcome", values.iter().copied());
            Table::new([axis], Counter::default)
        };
        Self {
            attempts: table(&OUTCOMES),
            attempt: Histogram::new(MINUTES),
            hub_calls: table(&HUB_CALLS),
            hub: Histogram::new(LATENCY),
            n8n_calls: table(&N8N_CALLS),
            n8n: Histogram::new(MINUTES),
        }
    }
}

impl Figures {
    /// An attempt came to something.
    pub(crate) fn attempted(&self, outcome: &Outcome, took: Duration) {
        let outcome = match outcome {
            Outcome::Done(_) => 0,
            Outcome::Retry(..) => 1,
            Outcome::Reject(_) => 2,
            Outcome::Park(_) => 3,
            Outcome::HandBack => 4,
            Outcome::Lost => 5,
        };
        self.attempts.at([outcome]).increment();
        self.attempt.record(took);
    }

    /// The hub was called. A call that the breaker stopped took no time.
    pub(crate) fn called_hub(&self, error: Option<&HubError>, took: Option<Duration>) {
        let outcome = match error {
            None => 0,
            Some(HubError::Stale) => 1,
            Some(HubError::Refused { .. }) => 2,
            Some(HubError::Unavailable { .. }) => 3,
            Some(HubError::Unreachable(_)) => 4,
            Some(HubError::Unreadable(_) | HubError::TooLong(_)) => 5,
            Some(HubError::BreakerOpen { .. }) => 6,
        };
        self.hub_calls.at([outcome]).increment();
        if let Some(took) = took {
            self.hub.record(took);
        }
    }

    /// The webhook was called.
    pub(crate) fn called_n8n(&self, outcome: N8nCall, took: Duration) {
        self.n8n_calls.at([outcome as usize]).increment();
        self.n8n.record(took);
    }
}

impl Source for Figures {
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let help = "What attempts came to.";
        writer.counters("tendril_worker_attempts", help, &self.attempts)?;
        let help = "How long attempts took until it was known what they came to.";
        writer.histogram("tendril_worker_attempt_seconds", help, &self.attempt)?;
        let help = "Calls of the hub, by what came of them.";
        writer.counters("tendril_worker_hub_calls", help, &self.hub_calls)?;
        let help = "How long the hub took, but for questions for jobs, which wait on purpose.";
        writer.histogram("tendril_worker_hub_seconds", help, &self.hub)?;
        let help = "Calls of the n8n webhook, by what came of them.";
        writer.counters("tendril_worker_n8n_calls", help, &self.n8n_calls)?;
        let help = "How long the n8n webhook took.";
        writer.histogram("tendril_worker_n8n_seconds", help, &self.n8n)
    }
}
