//! Who works on what, and what went wrong lately, as operators are told.
//!
//! A worker is known by the jobs that it holds, which is true of all hubs, and
//! by asking this hub for more. What it thinks of the hub (its breaker) it can
//! tell only by itself: while that is open it says nothing here.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};

use crate::{
    store::{Store, StoreError, jobs::Holder, timeline::Setback},
    workers::{Known, Workers},
};

/// How long the database may take: figures wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most workers that are told.
const MOST_WORKERS: usize = 50;

/// The most setbacks that are told.
const MOST_SETBACKS: u32 = 20;

/// What is told at once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Work {
    workers: Vec<Worker>,
    setbacks: Vec<Told>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Worker {
    id: String,
    state: State,
    /// Jobs that it works on, whichever hub gave them.
    leased: u32,
    /// Jobs that it left to wait for an outside answer.
    parked: u32,
    /// Since it last asked this hub for jobs; null where it never did.
    asked_seconds_ago: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    /// It holds jobs that it works on.
    Working,
    /// It waits at this hub for a job.
    Waiting,
    /// It neither asks this hub nor works.
    Silent,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    analysis_id: i64,
    what: &'static str,
    detail: String,
}

/// Nothing where the database does not answer in time.
pub(super) async fn now(store: &Store, workers: &Workers) -> Option<Work> {
    let read = async {
        let holders = store.holders().await?;
        Ok::<_, StoreError>((holders, store.setbacks(MOST_SETBACKS).await?))
    };
    let (holders, setbacks) = timeout(PATIENCE, read).await.ok()?.ok()?;
    Some(Work {
        workers: all(holders, workers.known(Instant::now())),
        setbacks: setbacks.into_iter().map(told).collect(),
    })
}

/// Those that work first, then those that wait, the silent last.
fn all(holders: Vec<Holder>, known: Vec<Known>) -> Vec<Worker> {
    let mut workers: BTreeMap<String, Worker> = BTreeMap::new();
    for known in known {
        let worker = Worker {
            id: known.id.clone(),
            state: if known.is_asking {
                State::Waiting
            } else {
                State::Silent
            },
            leased: 0,
            parked: 0,
            asked_seconds_ago: Some(known.asked.as_secs()),
        };
        workers.insert(known.id, worker);
    }
    for holder in holders {
        let worker = workers
            .entry(holder.worker.clone())
            .or_insert_with(|| Worker {
                id: holder.worker,
                state: State::Silent,
                leased: 0,
                parked: 0,
                asked_seconds_ago: None,
            });
        (worker.leased, worker.parked) = (holder.leased, holder.parked);
        if holder.leased > 0 {
            worker.state = State::Working;
        }
    }
    let mut workers: Vec<Worker> = workers.into_values().collect();
    workers.sort_by_key(|worker| worker.state as u8);
    workers.truncate(MOST_WORKERS);
    workers
}

fn told(setback: Setback) -> Told {
    Told {
        at: setback.entry.at.to_datetime(),
        analysis_id: setback.analysis_id,
        what: setback.entry.kind.as_str(),
        detail: setback.entry.detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(worker: &str, leased: u32, parked: u32) -> Holder {
        Holder {
            worker: worker.to_owned(),
            leased,
            parked,
        }
    }

    fn known(id: &str, is_asking: bool) -> Known {
        Known {
            id: id.to_owned(),
            is_asking,
            asked: Duration::from_secs(7),
        }
    }

    #[test]
    fn workers_are_told_by_what_they_hold_and_by_what_they_ask() {
        let holders = vec![
            holder("elsewhere", 2, 0),
            holder("parks", 0, 3),
            holder("both", 1, 1),
        ];
        let knows = vec![
            known("both", true),
            known("gone", false),
            known("idle", true),
            known("parks", true),
        ];
        let told: Vec<_> = all(holders, knows)
            .into_iter()
            .map(|worker| {
                (
                    worker.id,
                    worker.state,
                    worker.leased,
                    worker.parked,
                    worker.asked_seconds_ago,
                )
            })
            .collect();
        let expected = [
            ("both", State::Working, 1, 1, Some(7)),
            ("elsewhere", State::Working, 2, 0, None),
            ("idle", State::Waiting, 0, 0, Some(7)),
            ("parks", State::Waiting, 0, 3, Some(7)),
            ("gone", State::Silent, 0, 0, Some(7)),
        ]
        .map(|(id, state, leased, parked, asked)| (id.to_owned(), state, leased, parked, asked));
        assert_eq!(told, expected);
    }
}
