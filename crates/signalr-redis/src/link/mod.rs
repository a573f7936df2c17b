//! One connection to Redis that comes back by itself.
//!
//! Owns connecting, noticing that Redis is gone or frozen, connecting again,
//! and subscribing again to everything that somebody listens to. Commands and
//! subscriptions share the connection (RESP3), so there is no moment in which
//! one of them works and the other does not. Nothing is kept for later: what
//! is published while Redis is away fails at once.
//!
//! It knows channels and bytes; what they mean is its listeners' business.

mod error;
mod supervisor;

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::RwLock;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use error::LinkError;

use self::supervisor::{channels_of, tell_subscribed};
use crate::{OptionsError, RedisOptions};

/// Channels in one SUBSCRIBE: Redis answers each, and other clients wait.
const CHANNELS_AT_ONCE: usize = 500;

/// A connection to Redis, kept up by a task of its own, which ends with the
/// last clone or by [`close`](Self::close).
#[derive(Clone)]
pub struct RedisLink {
    inner: Arc<Inner>,
    _last: Arc<DropGuard>,
}

/// Whoever wants to hear what is published.
///
/// Its methods run on the connection's own task: they must not block, and what
/// takes long belongs into another task.
pub trait Listener: Send + Sync + 'static {
    /// The channels that it wants now, without the prefix: asked whenever the
    /// connection was built anew.
    fn channels(&self) -> Vec<String>;

    /// Something was published; whether the channel is one of this listener's.
    /// Several listeners are asked in turn until one takes it.
    fn message(&self, channel: &str, payload: Bytes) -> bool;

    /// All of [`channels`](Self::channels) are subscribed to: what is published
    /// from now on arrives, and what was published before may have been missed.
    fn subscribed(&self) {}
}

/// How the connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Not yet, or no longer: why, and for how many attempts now.
    Down {
        /// Why not.
        reason: LinkError,
        /// Attempts that failed one after the other.
        attempts: u32,
    },
    /// Everything is subscribed to.
    Up,
    /// For good.
    Closed,
}

/// Figures of a connection since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Times that the connection was built.
    pub connects: u64,
    /// Messages that Redis took.
    pub published: u64,
    /// Messages that it did not take, or not in time.
    pub not_published: u64,
    /// Messages that came.
    pub received: u64,
}

struct Inner {
    options: RedisOptions,
    client: redis::Client,
    connection: RwLock<Option<MultiplexedConnection>>,
    /// Changes of subscriptions go one after the other; a rebuilt connection
    /// subscribes to everything before the next change.
    subscribing: Mutex<()>,
    /// Replaced as a whole: whoever is told something may add one.
    listeners: RwLock<Arc<Vec<Weak<dyn Listener>>>>,
    state: watch::Sender<LinkState>,
    closed: CancellationToken,
    /// Something came since the last look: Redis lives.
    heard: AtomicBool,
    connects: AtomicU64,
    published: AtomicU64,
    not_published: AtomicU64,
    received: AtomicU64,
}

impl RedisLink {
    /// Begins to connect, within the current Tokio runtime, and does not wait
    /// for it: a hub starts whether Redis is there or not.
    ///
    /// # Errors
    /// [`OptionsError`] for options that no server can be reached by.
    pub fn open(options: RedisOptions) -> Result<Self, OptionsError> {
        if options.tls {
            // Which implementation of cryptography rustls takes is up to the
            // process; where nobody has said, this one.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let client = options.client()?;
        let closed = CancellationToken::new();
        let reason = LinkError::NotConnected;
        let state = watch::Sender::new(LinkState::Down {
            reason,
            attempts: 0,
        });
        let inner = Arc::new(Inner {
            options,
            client,
            connection: RwLock::default(),
            subscribing: Mutex::default(),
            listeners: RwLock::default(),
            state,
            closed: closed.clone(),
            heard: AtomicBool::new(false),
            connects: AtomicU64::new(0),
            published: AtomicU64::new(0),
            not_published: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        tokio::spawn(supervisor::run(Arc::clone(&inner)));
        Ok(Self {
            inner,
            _last: Arc::new(closed.drop_guard()),
        })
    }

    /// What it was opened with.
    #[must_use]
    pub fn options(&self) -> &RedisOptions {
        &self.inner.options
    }

    /// Hears from now on, until the listener is dropped. Its channels are
    /// subscribed to on this connection, where there is one, and on each that
    /// is built later.
    pub fn listen(&self, listener: &Arc<dyn Listener>) {
        {
            let mut listeners = self.inner.listeners.write();
            let living = listeners.iter().filter(|each| each.strong_count() > 0);
            let mut living: Vec<_> = living.cloned().collect();
            living.push(Arc::downgrade(listener));
            *listeners = Arc::new(living);
        }
        let (link, listener) = (self.clone(), Arc::downgrade(listener));
        tokio::spawn(async move { link.welcome(&listener).await });
    }

    /// Subscribes to a new listener's channels, unless the next connection does.
    async fn welcome(&self, listener: &Weak<dyn Listener>) {
        loop {
            let Some(channels) = listener.upgrade().map(|each| channels_of(&*each)) else {
                return;
            };
            match self.subscribe(&channels, &[]).await {
                Ok(()) => break,
                Err(LinkError::NotConnected | LinkError::Lost(_)) => return,
                Err(LinkError::TimedOut | LinkError::Refused(_)) => {
                    tokio::time::sleep(self.inner.options.ping_interval).await;
                }
            }
        }
        if let Some(listener) = listener.upgrade() {
            tell_subscribed(&*listener);
        }
    }

    /// Publishes, and gives how many connections of all servers heard it.
    ///
    /// Messages leave in the order in which these calls are polled first.
    ///
    /// # Errors
    /// [`LinkError`]; after [`LinkError::TimedOut`] and [`LinkError::Lost`] it
    /// may have been published all the same.
    pub async fn publish(&self, channel: &str, payload: &[u8]) -> Result<usize, LinkError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.inner.prefixed(channel)).arg(payload);
        let outcome = self.query::<usize>(&command).await;
        let counter = match &outcome {
            Ok(_) => &self.inner.published,
            Err(_) => &self.inner.not_published,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    /// Runs any other command.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and [`LinkError::Refused`] for an answer
    /// of another type.
    pub async fn query<T: redis::FromRedisValue>(
        &self,
        command: &redis::Cmd,
    ) -> Result<T, LinkError> {
        let mut connection = self.inner.connection()?;
        command
            .query_async(&mut connection)
            .await
            .map_err(Into::into)
    }

    /// Runs several commands with one round trip.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn query_all<T: redis::FromRedisValue>(
        &self,
        commands: &redis::Pipeline,
    ) -> Result<T, LinkError> {
        let mut connection = self.inner.connection()?;
        commands
            .query_async(&mut connection)
            .await
            .map_err(Into::into)
    }

    /// Subscribes to `wanted` and gives up `unwanted`; ends when both stand.
    ///
    /// # Errors
    /// [`LinkError`]; the next connection has what its listeners want then.
    pub async fn subscribe(&self, wanted: &[String], unwanted: &[String]) -> Result<(), LinkError> {
        let _in_turn = self.inner.subscribing.lock().await;
        let mut connection = self.inner.connection()?;
        for channels in unwanted.chunks(CHANNELS_AT_ONCE) {
            connection
                .unsubscribe(self.inner.all_prefixed(channels))
                .await?;
        }
        for channels in wanted.chunks(CHANNELS_AT_ONCE) {
            connection
                .subscribe(self.inner.all_prefixed(channels))
                .await?;
        }
        Ok(())
    }

    /// How it is, and when that changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.inner.state.subscribe()
    }

    /// Whether it is up, as far as is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        *self.inner.state.borrow() == LinkState::Up
    }

    /// Waits until it is up, for at most `limit`; whether it is.
    pub async fn wait_until_up(&self, limit: Duration) -> bool {
        let mut state = self.state();
        let up = state.wait_for(|state| *state == LinkState::Up);
        matches!(tokio::time::timeout(limit, up).await, Ok(Ok(_)))
    }

    /// Its figures.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        let inner = &self.inner;
        LinkStats {
            connects: inner.connects.load(Ordering::Relaxed),
            published: inner.published.load(Ordering::Relaxed),
            not_published: inner.not_published.load(Ordering::Relaxed),
            received: inner.received.load(Ordering::Relaxed),
        }
    }

    /// Ends the connection for all clones. What is under way fails.
    pub fn close(&self) {
        self.inner.closed.cancel();
    }
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLink")
            .field("address", &self.inner.options.address())
            .field("state", &*self.inner.state.borrow())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn connection(&self) -> Result<MultiplexedConnection, LinkError> {
        self.connection
            .read()
            .clone()
            .ok_or(LinkError::NotConnected)
    }

    fn prefixed(&self, channel: &str) -> String {
        format!("{}{channel}", self.options.channel_prefix)
    }

    fn all_prefixed(&self, channels: &[String]) -> Vec<String> {
        channels.iter().map(|each| self.prefixed(each)).collect()
    }

    fn listeners(&self) -> Arc<Vec<Weak<dyn Listener>>> {
        Arc::clone(&self.listeners.read())
    }

    /// Hands on what was published.
    fn hear(&self, channel: &[u8], payload: Bytes) {
        self.received.fetch_add(1, Ordering::Relaxed);
        let channel = std::str::from_utf8(channel)
            .ok()
            .and_then(|channel| channel.strip_prefix(&*self.options.channel_prefix));
        let Some(channel) = channel else { return };
        for listener in self.listeners().iter().filter_map(Weak::upgrade) {
            if listener.message(channel, payload.clone()) {
                return;
            }
        }
    }
}

/// Runs `future` for at most `limit`.
async fn within<T, E: Into<LinkError>>(
    limit: Duration,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, LinkError> {
    match tokio::time::timeout(limit, future).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err(LinkError::TimedOut),
    }
}
