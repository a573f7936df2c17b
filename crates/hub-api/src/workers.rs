//! The workers that this hub has heard of lately, for operators.
//!
//! Owns when each last asked for work, and whether it waits for an answer now.
//! It decides nothing: jobs are the store's, and a worker that is not known
//! here may well hold some, got from another hub.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

/// The most that are remembered.
const MOST: usize = 256;

/// A worker takes a new name at each start, so that names are not kept for ever.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// Every worker that asked this hub for work.
#[derive(Debug, Default)]
pub(crate) struct Workers(Mutex<HashMap<String, Heard>>);

#[derive(Debug, Clone, Copy)]
struct Heard {
    /// Its requests that wait for a job.
    asking: usize,
    /// When it last began to ask.
    at: Instant,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// The name that it gave itself.
    pub(crate) id: String,
    /// Whether it waits for a job now.
    pub(crate) is_asking: bool,
    /// How long ago it last asked.
    pub(crate) asked: Duration,
}

/// A request for work, for as long as it waits.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    workers: &'a Workers,
    id: &'a str,
}

impl Workers {
    /// A worker asks for jobs, and waits until the answer is dropped.
    pub(crate) fn ask<'a>(&'a self, id: &'a str, now: Instant) -> Asking<'a> {
        self.hear(id, now, |heard| heard.asking += 1);
        Asking { workers: self, id }
    }

    /// A worker claims a job that a broker brought it.
    pub(crate) fn claim(&self, id: &str, now: Instant) {
        self.hear(id, now, |_| {});
    }

    /// Those that were heard of lately, by their names.
    pub(crate) fn known(&self, now: Instant) -> Vec<Known> {
        let mut workers = self.0.lock();
        workers
            .retain(|_, heard| heard.asking > 0 || now.saturating_duration_since(heard.at) < KEPT);
        let known = workers.iter().map(|(id, heard)| Known {
            id: id.clone(),
            is_asking: heard.asking > 0,
            asked: now.saturating_duration_since(heard.at),
        });
        let mut known: Vec<Known> = known.collect();
        known.sort_by(|one, other| one.id.cmp(&other.id));
        known
    }

    fn hear(&self, id: &str, at: Instant, note: impl FnOnce(&mut Heard)) {
        let mut workers = self.0.lock();
        if !workers.contains_key(id) {
            if workers.len() >= MOST && !forget_one(&mut workers) {
                return;
            }
            workers.insert(id.to_owned(), Heard { asking: 0, at });
        }
        if let Some(heard) = workers.get_mut(id) {
            heard.at = at;
            note(heard);
        }
    }
}

/// Forgets the one that has been silent for longest; none where all ask.
fn forget_one(workers: &mut HashMap<String, Heard>) -> bool {
    let silent = workers.iter().filter(|(_, heard)| heard.asking == 0);
    let oldest = silent.min_by_key(|(_, heard)| heard.at);
    let oldest = oldest.map(|(id, _)| id.clone());
    oldest.is_some_and(|id| workers.remove(&id).is_some())
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        // It may have found no place when it began.
        if let Some(heard) = self.workers.0.lock().get_mut(self.id) {
            heard.asking = heard.asking.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_known_while_it_asks_and_for_a_while_after() {
        let workers = Workers::default();
        let start = Instant::now();
        let asking = workers.ask("a", start);
        let known = |is_asking, asked| Known {
            id: "a".to_owned(),
            is_asking,
            asked,
        };
        assert_eq!(workers.known(start + KEPT * 2), [known(true, KEPT * 2)]);
        drop(asking);
        assert_eq!(workers.known(start + KEPT / 2), [known(false, KEPT / 2)]);
        workers.claim("a", start + KEPT);
        let later = start + KEPT * 3 / 2;
        assert_eq!(workers.known(later), [known(false, KEPT / 2)]);
        assert_eq!(workers.known(start + KEPT * 2), []);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let workers = Workers::default();
        let mut now = Instant::now();
        let first = workers.ask("first", now);
        for number in 0..MOST * 2 {
            now += Duration::from_millis(1);
            workers.claim(&format!("worker {number}"), now);
        }
        let known = workers.known(now);
        assert_eq!(known.len(), MOST);
        assert!(known.iter().any(|worker| worker.id == "first"));
        assert!(!known.iter().any(|worker| worker.id == "worker 0"));
        drop(first);
    }
}
