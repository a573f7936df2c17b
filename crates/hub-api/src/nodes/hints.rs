//! Hints: that the log has grown, told to the other nodes.
//!
//! What waits goes out as one message, so that hints cost Redis one message a
//! round trip however many entries there are. One that is lost is found by
//! the sweep.

use parking_lot::Mutex;
use signalr_redis::RedisLink;
use tokio::sync::Notify;

use super::{LOG, message::Grown, tell};
use crate::store::LoggedEntry;

/// Hints that may wait; while Redis is away they are worth nothing.
const WAITING: usize = 16 * 1024;

/// Entries of one message.
const IN_ONE: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Hints {
    waiting: Mutex<Vec<(String, i64)>>,
    arrived: Notify,
}

impl Hints {
    pub(super) fn add(&self, entries: &[LoggedEntry]) {
        let mut waiting = self.waiting.lock();
        let room = WAITING.saturating_sub(waiting.len());
        let hints = entries.iter().take(room);
        waiting.extend(hints.map(|entry| (entry.stream.as_str().to_owned(), entry.sequence)));
        self.arrived.notify_one();
    }

    /// Publishes as hints come, for ever.
    pub(super) async fn publish(&self, link: &RedisLink, node: &str, epoch: &str) {
        loop {
            self.arrived.notified().await;
            self.publish_rest(link, node, epoch).await;
        }
    }

    /// Publishes what waits.
    pub(super) async fn publish_rest(&self, link: &RedisLink, node: &str, epoch: &str) {
        loop {
            let entries: Vec<(String, i64)> = {
                let mut waiting = self.waiting.lock();
                let count = waiting.len().min(IN_ONE);
                waiting.drain(..count).collect()
            };
            if entries.is_empty() {
                return;
            }
            let grown = Grown {
                node: node.into(),
                epoch: epoch.into(),
                entries,
            };
            if let Err(error) = tell(link, LOG, &grown).await {
                // The others look into the database all the same.
                self.waiting.lock().clear();
                tracing::debug!(%error, "other nodes are not told of new entries");
                return;
            }
        }
    }
}
