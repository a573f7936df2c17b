//! Which channels this node needs, told to the backplane in order.
//!
//! Only *that* a channel changed is kept, not how: when its turn comes, the
//! registry is asked whether it is wanted now. So what waits is bounded by the
//! channels there are, a client that comes and goes costs one change, and the
//! last word is always the right one.

use std::{
    collections::HashSet,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    BackplaneError, Channel, SubscriptionChange,
    carrier::{SharedCarrier, within},
};
use crate::{connection_token::random, server::Core};

/// Changes in one call: one command of a carrier, not too long for it.
const BATCH: usize = 1000;

/// Between attempts when the backplane fails: doubled from the first to the
/// last, and up to half as much again at random.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// The channels whose state is to be told.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    changed: Mutex<Changed>,
    wake: Notify,
    /// The last round that was told, whatever came of it.
    told: watch::Sender<u64>,
    /// The last round failed: waiting for the next is of no use.
    failing: AtomicBool,
    /// The connection was built anew: what failed is due now.
    rebuilt: AtomicBool,
    closed: AtomicBool,
    failures: AtomicU64,
}

#[derive(Debug)]
struct Changed {
    channels: HashSet<Channel>,
    /// The round in which `channels` will be told.
    round: u64,
}

impl Subscriptions {
    pub(crate) fn new() -> Self {
        Self {
            changed: Mutex::new(Changed {
                channels: HashSet::new(),
                round: 1,
            }),
            wake: Notify::new(),
            told: watch::Sender::new(0),
            failing: AtomicBool::new(false),
            rebuilt: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            failures: AtomicU64::new(0),
        }
    }

    /// Whether a channel is wanted may have changed; the registry knows already.
    pub(crate) fn mark(&self, channel: Channel) {
        self.changed.lock().channels.insert(channel);
        self.wake.notify_one();
    }

    /// Waits until all that was marked before is told, though no longer than
    /// `limit`, and not at all while the backplane fails.
    pub(crate) async fn settled(&self, limit: Duration) {
        let round = {
            let changed = self.changed.lock();
            match changed.channels.is_empty() {
                // Those of the round before may be under way.
                true => changed.round - 1,
                false => changed.round,
            }
        };
        if *self.told.borrow() >= round || self.failing.load(Ordering::Acquire) {
            return;
        }
        let mut told = self.told.subscribe();
        let _ = tokio::time::timeout(limit, told.wait_for(|told| *told >= round)).await;
    }

    /// The connection was built anew. What failed and what was held back behind
    /// it is told at once: the connection knows what was wanted when it asked,
    /// and nobody waits for later changes while they are held back.
    pub(super) fn rebuilt(&self) {
        self.rebuilt.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Rounds that failed.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    fn failed(&self, error: &BackplaneError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        if !self.failing.swap(true, Ordering::AcqRel) {
            tracing::warn!(%error, "the backplane takes no subscriptions; they are tried again");
        }
    }

    fn recovered(&self) {
        if self.failing.swap(false, Ordering::AcqRel) {
            tracing::info!("the backplane takes subscriptions again");
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    fn take(&self) -> (HashSet<Channel>, u64) {
        let mut changed = self.changed.lock();
        let round = changed.round;
        changed.round += 1;
        (std::mem::take(&mut changed.channels), round)
    }
}

/// Tells the backplane what changes, until the hub is gone.
pub(super) async fn run(
    subscriptions: Arc<Subscriptions>,
    carrier: SharedCarrier,
    core: Weak<Core>,
    limit: Duration,
) {
    let mut retry = Retry::default();
    loop {
        tokio::select! {
            () = subscriptions.wake.notified() => {}
            () = tokio::time::sleep_until(retry.at), if !retry.channels.is_empty() => {}
        }
        if subscriptions.closed.load(Ordering::Acquire) {
            return;
        }
        if subscriptions.rebuilt.swap(false, Ordering::AcqRel) {
            retry.now();
        }
        let (channels, round) = subscriptions.take();
        let channels = retry.due_with(channels);
        let Some(core) = core.upgrade() else { return };
        let changes: Vec<SubscriptionChange> = channels
            .into_iter()
            .map(|channel| SubscriptionChange {
                wanted: core.registry.wants(&channel),
                channel,
            })
            .collect();
        drop(core);
        for (number, batch) in changes.chunks(BATCH).enumerate() {
            match within(limit, async || carrier.subscribe(batch).await).await {
                Ok(()) => {
                    retry.pause = RETRY.0;
                    subscriptions.recovered();
                }
                Err(error) => {
                    subscriptions.failed(&error);
                    // The batches behind it would wait for the same fault.
                    retry.later(&changes[number * BATCH..]);
                    break;
                }
            }
        }
        subscriptions.told.send_replace(round);
    }
}

/// What failed, and when it is tried again.
struct Retry {
    channels: HashSet<Channel>,
    at: Instant,
    pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            channels: HashSet::new(),
            at: Instant::now(),
            pause: RETRY.0,
        }
    }
}

impl Retry {
    /// What is to be told now: nothing new either before the next attempt, so
    /// that many clients make no attempt each.
    fn due_with(&mut self, channels: HashSet<Channel>) -> HashSet<Channel> {
        if self.channels.is_empty() {
            return channels;
        }
        self.channels.extend(channels);
        match Instant::now() >= self.at {
            true => std::mem::take(&mut self.channels),
            false => HashSet::new(),
        }
    }

    fn now(&mut self) {
        self.at = Instant::now();
        self.pause = RETRY.0;
    }

    fn later(&mut self, changes: &[SubscriptionChange]) {
        let channels = changes.iter().map(|change| change.channel.clone());
        self.channels.extend(channels);
        let share = f64::from(u16::from_le_bytes(random())) / f64::from(u16::MAX);
        self.at = Instant::now() + self.pause.mul_f64(1.0 + share / 2.0);
        self.pause = (self.pause * 2).min(RETRY.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_held_back_until_the_connection_is_rebuilt() {
        let changes = |user: &str| {
            [SubscriptionChange {
                channel: Channel::User(user.into()),
                wanted: true,
            }]
        };
        let mut retry = Retry {
            pause: RETRY.1,
            ..Retry::default()
        };
        retry.later(&changes("ada"));
        let bob = HashSet::from([Channel::User("bob".into())]);
        assert!(retry.due_with(bob).is_empty());
        retry.now();
        assert_eq!(retry.due_with(HashSet::new()).len(), 2);
        assert_eq!(retry.pause, RETRY.0);
    }
}
