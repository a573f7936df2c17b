//! Replays recordings of a SignalR server against any server: raw sockets, so
//! that masks, opcodes, fragments and sudden ends are under control. Owns the
//! running of many scenarios at once; knows nothing of the server's insides.

pub(crate) mod scenario;
mod files;
mod placeholder;
mod inbox;
mod http;
mod websocket;
mod sse;
mod compare;
mod awaited;
mod play;
mod request;
mod receive;

use std::fmt;
use std::net::SocketAddr;
use std::panic;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use self::scenario::Scenario;

pub(crate) use self::files::read_folder;

/// Scenarios in flight: mostly they wait, and two cores carry this many
/// without disturbing the timed ones.
const AT_ONCE: usize = 40;

/// Where a scenario is played.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    stop: Box<dyn Fn() + Send + Sync>,
    /// How many requests the server has begun with, where it can tell.
    begun: Option<watch::Receiver<u64>>,
}

impl Target {
    /// `begun` counts the requests that have come as far as they come by
    /// themselves, so that a poll among them waits for data. `stop` is called
    /// where the recorded server got SIGTERM.
    pub(crate) fn new(
        address: SocketAddr,
        begun: Option<watch::Receiver<u64>>,
        stop: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self {
            address,
            stop: Box::new(stop),
            begun,
        }
    }

    fn stop(&self) {
        (self.stop)();
    }
}

/// The first place where a server did something else than recorded.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    /// Counted from 0; the number of steps for what came after the last.
    pub(crate) step: usize,
    pub(crate) expected: String,
    pub(crate) got: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "step {}\n  expected {}\n  got      {}",
            self.step, self.expected, self.got
        )
    }
}

/// How one scenario went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) title: String,
    pub(crate) difference: Option<Difference>,
}

/// Plays the scenarios side by side, each against the target that `target`
/// gives for it, the longest first.
pub(crate) async fn replay_all<T>(mut scenarios: Vec<Scenario>, target: T) -> Vec<Outcome>
where
    T: AsyncFn(&Scenario) -> Target,
{
    scenarios.sort_by_key(|scenario| std::cmp::Reverse(scenario.waits()));
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    let mut outcomes = Vec::new();
    for scenario in scenarios {
        let place = Arc::clone(&places).acquire_owned().await;
        let target = target(&scenario).await;
        running.spawn(async move {
            let _place = place.expect("the semaphore is never closed");
            let difference = play::play(&target, &scenario).await.err();
            Outcome {
                title: scenario.title(),
                difference,
            }
        });
    }
    while let Some(outcome) = running.join_next().await {
        match outcome {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => panic::resume_unwind(error.into_panic()),
        }
    }
    outcomes.sort_by(|a, b| a.title.cmp(&b.title));
    outcomes
}
