//! Several hubs as one: what they tell each other beside what clients get.
//!
//! Owns the hub's connection to Redis, the hints that the log has grown
//! (`hints`), the search for what no hint told (`sweep`), questions to the
//! other nodes (`questions`), how many connections a user has on all of them
//! (`presence`), and what each tells to operators (`totals`). It never carries
//! an entry of the log: the log is the truth, and whoever hears of an entry
//! reads it there.
//!
//! Everything here is bounded in time and number, and nothing of it is needed
//! to serve the clients of this node.

mod message;
mod hints;
mod questions;
mod presence;
mod sweep;
mod totals;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use signalr_redis::{LinkError, LinkState, LinkStats, Listener, RedisBackplane, RedisLink};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::{
    hints::Hints,
    message::{Addressed, Grown, Switched},
    presence::Presence,
    questions::Questions,
};
use crate::{
    delivery::Delivery,
    hex::hex,
    metrics::Metrics,
    store::LoggedEntry,
    switches::{SwitchChange, Switches},
};

pub use message::Span;
pub use presence::Room;
pub use sweep::sweep;
pub use totals::{AllTotals, NodeTotals};

/// The channel of all nodes on which the log's growth is told.
const LOG: &str = "tendril:log";
/// The channel on which operators' changes are told, with the epoch behind it.
const SWITCHES: &str = "tendril:switches";
/// The channel of questions to all nodes, with the epoch behind it.
const ALL_NODES: &str = "tendril:nodes";

/// This node among the others. Clones share it.
#[derive(Debug, Clone)]
pub struct Nodes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Names this start of this hub.
    id: String,
    started: Instant,
    /// That of the log, once it is served: hubs of another database that share
    /// the Redis are others' hubs, with other users and other operators.
    epoch: OnceLock<String>,
    /// Where this hub's clients are counted, once somebody may ask.
    metrics: OnceLock<Arc<Metrics>>,
    /// None where the hub is told of no Redis.
    redis: Option<Redis>,
    /// A sweep is due before its time.
    missed: Notify,
}

#[derive(Debug)]
struct Redis {
    link: RedisLink,
    /// The name of the clients' hub in .NET.
    hub: String,
    hints: Hints,
    questions: Questions,
    presence: Presence,
}

impl Nodes {
    /// A hub that is alone, or shares a database and no Redis.
    #[must_use]
    pub fn alone() -> Self {
        Self::with(None)
    }

    /// A hub that finds the others by `link`. `hub` is the full name that the
    /// clients' hub has in .NET.
    #[must_use]
    pub fn on_redis(link: RedisLink, hub: String) -> Self {
        Self::with(Some(Redis {
            link,
            hub,
            hints: Hints::default(),
            questions: Questions::default(),
            presence: Presence::default(),
        }))
    }

    fn with(redis: Option<Redis>) -> Self {
        let shared = Shared {
            id: node_id(),
            started: Instant::now(),
            epoch: OnceLock::new(),
            metrics: OnceLock::new(),
            redis,
            missed: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The carrier of messages to clients of other nodes.
    #[must_use]
    pub fn backplane(&self) -> Option<RedisBackplane> {
        let redis = self.shared.redis.as_ref()?;
        Some(RedisBackplane::new(redis.link.clone(), &redis.hub))
    }

    /// How Redis is; `None` where the hub is told of none.
    #[must_use]
    pub fn redis(&self) -> Option<(LinkState, LinkStats)> {
        let link = &self.shared.redis.as_ref()?.link;
        Some((link.state().borrow().clone(), link.stats()))
    }

    /// Tells the other nodes of entries that were committed here. It never waits.
    pub fn announce(&self, entries: &[LoggedEntry]) {
        if let Some(redis) = &self.shared.redis {
            redis.hints.add(entries);
        }
    }

    /// Tells the other nodes of an operator's change. One that does not hear
    /// of it, as Redis is away, stays as it is. Gives whether Redis took it,
    /// which does not show that every node heard it; `None` where the hub is
    /// told of no others.
    pub async fn switched(&self, change: &SwitchChange) -> Option<bool> {
        let redis = self.shared.redis.as_ref()?;
        let Some(channel) = self.channel(SWITCHES) else {
            return Some(false);
        };
        let told = Switched::new(&self.shared.id, change);
        match tell(&redis.link, &channel, &told).await {
            Ok(_) => Some(true),
            Err(error) => {
                tracing::error!(%error, "switches.not_told: the other hubs stay as they are");
                Some(false)
            }
        }
    }

    /// Hears the other nodes and tells them what happens here, until `stop`;
    /// then tells what is left to tell and leaves Redis.
    ///
    /// # Errors
    /// Never; a task of the hub has an error's place.
    pub async fn run(
        self,
        delivery: Delivery,
        switches: Switches,
        stop: CancellationToken,
    ) -> Result<(), std::convert::Infallible> {
        let Some(redis) = &self.shared.redis else {
            stop.cancelled().await;
            return Ok(());
        };
        let epoch = delivery.epoch().unwrap_or_default();
        let epoch = self.shared.epoch.get_or_init(|| epoch);
        let (asked, questions) = mpsc::channel(questions::WAITING);
        let ear: Arc<dyn Listener> = Arc::new(Ear {
            nodes: self.clone(),
            switches_channel: scoped(SWITCHES, epoch),
            all_nodes_channel: scoped(ALL_NODES, epoch),
            own_channel: channel_of(&self.shared.id),
            delivery: delivery.clone(),
            switches,
            asked,
        });
        redis.link.listen(&ear);
        tokio::select! {
            () = redis.hints.publish(&redis.link, &self.shared.id, epoch) => {}
            () = questions::answer(questions, &self, &delivery) => {}
            () = redis.presence.keep(&redis.link, (epoch, &self.shared.id), &delivery) => {}
            () = stop.cancelled() => {}
        }
        redis
            .hints
            .publish_rest(&redis.link, &self.shared.id, epoch)
            .await;
        redis.link.close();
        Ok(())
    }

    /// A channel of the hubs that share this one's log; none before it is served.
    fn channel(&self, name: &str) -> Option<String> {
        Some(scoped(name, self.shared.epoch.get()?))
    }
}

/// Hears what the other nodes publish.
struct Ear {
    nodes: Nodes,
    switches_channel: String,
    all_nodes_channel: String,
    own_channel: String,
    delivery: Delivery,
    switches: Switches,
    asked: mpsc::Sender<Addressed>,
}

impl Listener for Ear {
    fn channels(&self) -> Vec<String> {
        vec![
            LOG.to_owned(),
            self.switches_channel.clone(),
            self.all_nodes_channel.clone(),
            self.own_channel.clone(),
        ]
    }

    fn message(&self, channel: &str, payload: Bytes) -> bool {
        let read = if channel == LOG {
            self.grown(&payload)
        } else if channel == self.switches_channel {
            self.switched(&payload)
        } else if channel == self.all_nodes_channel || channel == self.own_channel {
            self.addressed(&payload)
        } else {
            return false;
        };
        if let Err(error) = read {
            tracing::warn!(channel, %error, "a message of another node cannot be read");
        }
        true
    }

    /// What was told while nobody listened is found in the database.
    fn subscribed(&self) {
        self.nodes.shared.missed.notify_one();
        if let Some(redis) = &self.nodes.shared.redis {
            redis.presence.lost();
        }
    }
}

impl Ear {
    fn grown(&self, payload: &[u8]) -> Result<(), serde_json::Error> {
        let grown: Grown<'_> = serde_json::from_slice(payload)?;
        // Another database's log, on a Redis that both share: its sequences
        // mean nothing here.
        let ours = self.delivery.epoch().as_deref() == Some(&*grown.epoch);
        if *grown.node != self.nodes.shared.id && ours {
            self.delivery.look(grown.by_stream());
        }
        Ok(())
    }

    fn switched(&self, payload: &[u8]) -> Result<(), serde_json::Error> {
        let switched: Switched<'_> = serde_json::from_slice(payload)?;
        if *switched.node == self.nodes.shared.id {
            return Ok(());
        }
        let change = switched.understood();
        if let Err(error) = self.switches.change(&change) {
            tracing::warn!(%error, "a part of another hub's change of switches is none here");
            // What stops everything must not be lost for a text beside it.
            let plain = SwitchChange {
                enable_signalr: change.enable_signalr,
                realtime_streaming_v2: change.realtime_streaming_v2,
                ..SwitchChange::default()
            };
            if let Err(error) = self.switches.change(&plain) {
                tracing::error!(%error, "another hub's change of switches is none");
            }
        }
        Ok(())
    }

    fn addressed(&self, payload: &[u8]) -> Result<(), serde_json::Error> {
        let message: Addressed = serde_json::from_slice(payload)?;
        let Some(redis) = &self.nodes.shared.redis else {
            return Ok(());
        };
        if message.from() == self.nodes.shared.id {
            return Ok(());
        }
        match message {
            Addressed::Answer { to, answer, .. } => redis.questions.answered(to, answer),
            // Whoever asks counts what is not answered in time as unknown.
            question => drop(self.asked.try_send(question)),
        }
        Ok(())
    }
}

fn scoped(channel: &str, epoch: &str) -> String {
    format!("{channel}:{epoch}")
}

/// The channel of one node alone.
fn channel_of(node: &str) -> String {
    format!("tendril:node:{node}")
}

/// 16 hexadecimal digits.
fn node_id() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    hex(&bytes)
}

/// Publishes a message of this module; how many nodes heard it.
async fn tell(
    link: &RedisLink,
    channel: &str,
    message: &impl Serialize,
) -> Result<usize, LinkError> {
    let payload = serde_json::to_vec(message).expect("plain data is written as JSON");
    link.publish(channel, &payload).await
}
