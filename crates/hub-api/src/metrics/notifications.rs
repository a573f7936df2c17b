//! What becomes of notifications, and of attempts at jobs.

use std::{fmt, time::Duration};

use telemetry::metrics::{Axis, Counter, Histogram, LATENCY, SIZES, Source, Table, Writer};

use crate::store::ReceiptSource;

/// What became of a notification when it was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationOutcome {
    /// Logged, and handed to a connection of the user here at once.
    Delivered,
    /// Logged, and handed to nobody here at once: no connection of the user is
    /// here, or those that are read the log first. It waits there.
    Waiting,
    /// It could not be logged. Whoever posted it is to post it again.
    Failed,
}

/// What becomes of an attempt at a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// A worker took it.
    Begun,
    /// It ended its job with a result.
    Completed,
    /// It ended its job without one.
    Failed,
    /// It was given back, and another follows.
    Retried,
    /// It was given back, and was the last.
    Exhausted,
    /// Nothing was heard of it; another follows.
    Expired,
    /// Its job was ended by the hub: overdue, or out of attempts.
    Ended,
}

const SOURCES: [&str; 5] = ["pong", "poll", "message", "acknowledge", "resume"];

/// The figures.
#[derive(Debug)]
pub struct NotificationFigures {
    outcomes: Table<Counter, 1>,
    confirmed: Table<Counter, 1>,
    arrival: Histogram,
    replayed: Histogram,
    progress: Table<Counter, 1>,
    attempts: Table<Counter, 1>,
}

impl Default for NotificationFigures {
    fn default() -> Self {
        let table = |name, values: &[&str]| {
            let axis = Axis::new(name, values.iter().copied());
            Table::new([axis], Counter::default)
        };
        let attempts = [
            "begun",
            "completed",
            "failed",
            "retried",
            "exhausted",
            "expired",
            "ended",
        ];
        Self {
            outcomes: table("outcome", &["delivered", "waiting", "failed"]),
            confirmed: table("source", &SOURCES),
            arrival: Histogram::new(LATENCY),
            replayed: Histogram::new(SIZES),
            progress: table("outcome", &["sent", "dropped"]),
            attempts: table("outcome", &attempts),
        }
    }
}

impl NotificationFigures {
    /// A notification was posted.
    pub fn posted(&self, outcome: NotificationOutcome) {
        self.outcomes.at([outcome as usize]).increment();
    }

    /// A client is known to have what was sent to it.
    pub fn confirmed(&self, source: ReceiptSource) {
        let source = match source {
            ReceiptSource::Pong => 0,
            ReceiptSource::Poll => 1,
            ReceiptSource::HubMessage => 2,
            ReceiptSource::Acknowledge => 3,
            ReceiptSource::Resume => 4,
        };
        self.confirmed.at([source]).increment();
    }

    /// A new notification arrived this long after it was logged.
    pub fn arrived(&self, after: Duration) {
        self.arrival.record(after);
    }

    /// So many entries were read from the log for one client.
    pub fn replayed(&self, entries: usize) {
        self.replayed.observe(entries as f64);
    }

    /// Progress was sent, or left out for a client that is behind.
    pub fn progress(&self, sent: bool) {
        self.progress.at([usize::from(!sent)]).increment();
    }

    /// So many attempts came to something.
    pub fn attempts(&self, outcome: AttemptOutcome, count: usize) {
        self.attempts.at([outcome as usize]).add(count as u64);
    }

    /// Notifications that were logged.
    #[must_use]
    pub fn logged(&self) -> u64 {
        self.outcomes.at([0]).get() + self.outcomes.at([1]).get()
    }

    /// Notifications that could not be.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.outcomes
            .at([NotificationOutcome::Failed as usize])
            .get()
    }

    /// How long notifications took from the log to their clients, on average.
    #[must_use]
    pub fn average_arrival(&self) -> Option<Duration> {
        let count = self.arrival.count();
        (count > 0).then(|| Duration::from_secs_f64(self.arrival.sum() / count as f64))
    }
}

impl Source for NotificationFigures {
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.counters(
            "tendril_notifications",
            "Notifications that were posted: handed to a connection here at once, waiting in the \
             log, or not logged.",
            &self.outcomes,
        )?;
        writer.counters(
            "tendril_notification_receipts",
            "Times that a client was known to have what was sent to it, by what showed it.",
            &self.confirmed,
        )?;
        writer.histogram(
            "tendril_notification_delivery_seconds",
            "From the log until a connected client was known to have it.",
            &self.arrival,
        )?;
        writer.histogram(
            "tendril_replay_entries",
            "Entries that were read from the log for one client that was behind.",
            &self.replayed,
        )?;
        writer.counters(
            "tendril_progress",
            "Progress for connections: sent, or left out for a client that is behind.",
            &self.progress,
        )?;
        writer.counters(
            "tendril_job_attempts",
            "What became of attempts at jobs.",
            &self.attempts,
        )
    }
}
