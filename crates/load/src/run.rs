//! What everything in one run shares: the server, the clock, the counts.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{latency::Latency, server::Server};

/// Different reasons of failures that are told apart.
const MOST_REASONS: usize = 20;

/// A run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) server: Server,
    /// Tells its messages from those of other runs.
    pub(crate) id: u32,
    pub(crate) started: Instant,
    /// Clients go on until then.
    pub(crate) stop: CancellationToken,
    pub(crate) patience: Duration,
    pub(crate) counts: Counts,
    /// From the moment a message was due until it was there.
    pub(crate) latency: Latency,
    /// From the moment a connection was due until it was open.
    pub(crate) opening: Latency,
    /// Messages that were due earlier are counted, but their latency is not.
    measured_from: AtomicU64,
    failures: Mutex<BTreeMap<String, u64>>,
}

/// What happened so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Connections opened.
    pub(crate) opened: AtomicU64,
    /// Connections that are open.
    pub(crate) open: AtomicU64,
    /// Connections that the server ended.
    pub(crate) closed: AtomicU64,
    /// Different messages of this run that came.
    pub(crate) received: AtomicU64,
    /// Messages that the server took.
    pub(crate) sent: AtomicU64,
    /// What failed: opens, posts, invocations.
    pub(crate) failed: AtomicU64,
    /// Invocations that were not answered.
    pub(crate) unanswered: AtomicU64,
    /// Invocations that were due and not made: the client waited for answers.
    pub(crate) unsent: AtomicU64,
}

impl Run {
    pub(crate) fn new(server: Server, patience: Duration) -> Self {
        Self {
            server,
            id: rand::random(),
            started: Instant::now(),
            stop: CancellationToken::new(),
            patience,
            counts: Counts::default(),
            latency: Latency::default(),
            opening: Latency::default(),
            measured_from: AtomicU64::new(0),
            failures: Mutex::default(),
        }
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// Latencies count from now on.
    pub(crate) fn measure_from_now(&self) {
        self.measured_from.store(self.now(), Ordering::Relaxed);
    }

    /// What was due at `due` is there now.
    pub(crate) fn arrived(&self, recorder: u64, due: u64, now: u64) {
        if due >= self.measured_from.load(Ordering::Relaxed) {
            self.latency
                .record(recorder as usize, now.saturating_sub(due));
        }
    }

    /// Something failed that is no reason to stop.
    pub(crate) fn failed(&self, why: &dyn std::fmt::Display) {
        add(&self.counts.failed, 1);
        self.note(why);
    }

    /// The server ended a connection.
    pub(crate) fn closed(&self, why: &dyn std::fmt::Display) {
        add(&self.counts.closed, 1);
        self.note(why);
    }

    fn note(&self, why: &dyn std::fmt::Display) {
        let mut failures = self.failures.lock();
        let mut why = why.to_string();
        if failures.len() >= MOST_REASONS && !failures.contains_key(&why) {
            "for other reasons".clone_into(&mut why);
        }
        *failures.entry(why).or_default() += 1;
    }

    /// Why things failed, with how often.
    pub(crate) fn failures(&self) -> BTreeMap<String, u64> {
        self.failures.lock().clone()
    }
}

pub(crate) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

pub(crate) fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
