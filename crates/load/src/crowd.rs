//! Many clients at once: opens them at a bounded pace, lets each play its
//! part, and gathers what they got.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    client::Client,
    run::{Run, add, get},
    schedule,
    tally::Tally,
};

/// How a crowd is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    pub(crate) clients: u64,
    /// Opens a second; 0 for as many as go.
    pub(crate) rate: f64,
    /// Opens under way at once.
    pub(crate) at_once: usize,
}

/// What one client got.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The client's place in the crowd.
    pub(crate) place: u64,
    /// It was connected; one that never was is sent nothing.
    pub(crate) opened: bool,
    pub(crate) tally: Tally,
}

/// Clients that are connected.
#[derive(Debug)]
pub(crate) struct Crowd {
    clients: JoinSet<Outcome>,
    /// From the first start until the last one was open.
    pub(crate) opening_time: Duration,
    pub(crate) opened: u64,
}

impl Crowd {
    /// Opens clients and gives each to `part`, which plays it until its end.
    pub(crate) async fn open<P, F>(run: &Arc<Run>, opening: Opening, part: P) -> Self
    where
        P: Fn(Arc<Run>, Client, u64) -> F + Clone + Send + 'static,
        F: Future<Output = Tally> + Send + 'static,
    {
        let started = Instant::now();
        let places = Arc::new(Semaphore::new(opening.at_once.max(1)));
        let before = get(&run.counts.opened);
        let mut clients = JoinSet::new();
        for place in 0..opening.clients {
            let Ok(permit) = Arc::clone(&places).acquire_owned().await else {
                break;
            };
            let mut due = started;
            if let Some(after) = schedule::due(place, opening.rate) {
                due += after;
                sleep_until(due).await;
            } else {
                due = Instant::now();
            }
            let (run, part) = (Arc::clone(run), part.clone());
            clients.spawn(async move {
                let opened = open(&run, place, due).await;
                drop(permit);
                match opened {
                    Some(client) => play(run, client, place, part).await,
                    None => Outcome {
                        place,
                        ..Outcome::default()
                    },
                }
            });
        }
        // All permits are back when all are open or have failed.
        let all = u32::try_from(opening.at_once.max(1)).unwrap_or(u32::MAX);
        let _ = places.acquire_many(all).await;
        Self {
            clients,
            opening_time: started.elapsed(),
            opened: get(&run.counts.opened) - before,
        }
    }

    /// What all clients got, once the run's stop has ended them.
    pub(crate) async fn outcomes(mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(self.clients.len());
        while let Some(ended) = self.clients.join_next().await {
            // A client's task does not panic; one that did got nothing.
            outcomes.extend(ended.ok());
        }
        outcomes
    }
}

async fn open(run: &Run, place: u64, due: Instant) -> Option<Client> {
    let user = run.server.user_of(place);
    match Client::open(&run.server, user, run.patience).await {
        Ok(client) => {
            run.opening
                .record(place as usize, due.elapsed().as_nanos() as u64);
            add(&run.counts.opened, 1);
            Some(client)
        }
        Err(error) => {
            run.failed(&error);
            None
        }
    }
}

async fn play<P, F>(run: Arc<Run>, client: Client, place: u64, part: P) -> Outcome
where
    P: Fn(Arc<Run>, Client, u64) -> F,
    F: Future<Output = Tally>,
{
    add(&run.counts.open, 1);
    let tally = part(Arc::clone(&run), client, place).await;
    run.counts
        .open
        .fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    Outcome {
        place,
        opened: true,
        tally,
    }
}
