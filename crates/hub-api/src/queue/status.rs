//! How the hub's side of the broker is, for health. Everybody may read that, so
//! that the broker's own words are in the log alone.

use broker::{LinkReport, LinkState};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// What both tasks tell and health reads.
#[derive(Debug, Default)]
pub(crate) struct QueueStatus {
    pub(super) relay: LinkState,
    pub(super) dead_letters: LinkState,
    counts: Mutex<Counts>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    blocked: bool,
    announced: u64,
    refused: u64,
    /// Why the last round did not bring everything to the broker.
    trouble: Option<&'static str>,
    failed_by_letter: u64,
    unreadable_letters: u64,
    refused_letters: u64,
}

/// How it is, in words and figures.
#[derive(Debug)]
pub(crate) struct QueueHealth {
    pub(crate) works: bool,
    pub(crate) description: &'static str,
    pub(crate) data: Value,
}

/// The same for metrics.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QueueFigures {
    pub(crate) works: bool,
    pub(crate) announced: u64,
    pub(crate) refused: u64,
    pub(crate) failed_by_letter: u64,
    pub(crate) unreadable_letters: u64,
    pub(crate) refused_letters: u64,
}

impl QueueStatus {
    pub(super) fn blocked(&self, blocked: bool) {
        self.counts.lock().blocked = blocked;
    }

    pub(super) fn published(&self, confirmed: usize, others: usize, trouble: Option<&'static str>) {
        let mut counts = self.counts.lock();
        counts.announced += confirmed as u64;
        counts.refused += others as u64;
        counts.trouble = trouble;
    }

    pub(super) fn failed_by_letter(&self) {
        self.counts.lock().failed_by_letter += 1;
    }

    pub(super) fn unreadable_letter(&self) {
        self.counts.lock().unreadable_letters += 1;
    }

    pub(crate) fn figures(&self) -> QueueFigures {
        let works = self.health().works;
        let counts = self.counts.lock();
        QueueFigures {
            works,
            announced: counts.announced,
            refused: counts.refused,
            failed_by_letter: counts.failed_by_letter,
            unreadable_letters: counts.unreadable_letters,
            refused_letters: counts.refused_letters,
        }
    }

    pub(super) fn refused_letter(&self) {
        self.counts.lock().refused_letters += 1;
    }

    pub(crate) fn health(&self) -> QueueHealth {
        let (relay, letters) = (self.relay.report(), self.dead_letters.report());
        let counts = self.counts.lock().clone();
        let description = if relay.working_since.is_none() {
            "The broker is away; jobs wait in the database"
        } else if counts.blocked {
            "The broker takes no messages (memory or disk alarm); jobs wait in the database"
        } else if counts.trouble.is_some() {
            "The broker does not take all messages; jobs wait in the database"
        } else if letters.working_since.is_none() {
            "Dead letters are not consumed"
        } else {
            "Jobs are announced"
        };
        let works = relay.working_since.is_some()
            && letters.working_since.is_some()
            && !counts.blocked
            && counts.trouble.is_none();
        let data = json!({
            "announced": counts.announced,
            "refused": counts.refused,
            "trouble": counts.trouble,
            "blocked": counts.blocked,
            "relay": link(&relay),
            "deadLetters": link(&letters),
            "failedByDeadLetter": counts.failed_by_letter,
            "unreadableDeadLetters": counts.unreadable_letters,
            "refusedDeadLetters": counts.refused_letters,
        });
        QueueHealth {
            works,
            description,
            data,
        }
    }
}

fn link(report: &LinkReport) -> Value {
    json!({
        "connected": report.working_since.is_some(),
        "forSeconds": report.working_since.map(|since| since.elapsed().as_secs()),
        "broken": report.broken,
        "lastError": report.last_error_kind,
        "queued": report.depth,
    })
}
