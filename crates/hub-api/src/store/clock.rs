//! Time as the store counts it: milliseconds since the Unix epoch, UTC.
//!
//! The store asks its [`Clock`] and nothing else, so that a test moves time by
//! hand and a database with a clock of its own can take its place.

use std::{
    fmt,
    ops::{Add, Sub},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use time::OffsetDateTime;

/// A moment, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The same moment as a date, for DTOs.
    #[must_use]
    pub fn to_datetime(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// How long after `earlier` this is; zero where it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<OffsetDateTime> for UnixMillis {
    fn from(date: OffsetDateTime) -> Self {
        Self(i64::try_from(date.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
    }
}

impl Add<Duration> for UnixMillis {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for UnixMillis {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Debug for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_datetime(), f)
    }
}

/// What the store reads the time from.
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    /// A database's clock: what it said last, and this process' steady clock
    /// since then.
    Following(Arc<Following>),
    Manual(Arc<AtomicI64>),
}

#[derive(Debug)]
struct Following {
    start: Instant,
    /// What is added to the time since `start`.
    offset: AtomicI64,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that follows another one, which says that it is `now`. Clones share it.
    pub(in crate::store) fn following(now: UnixMillis) -> Self {
        Self(Source::Following(Arc::new(Following {
            start: Instant::now(),
            offset: AtomicI64::new(now.0),
        })))
    }

    /// Takes over what the clock that it follows says.
    pub(in crate::store) fn follow(&self, now: UnixMillis) {
        if let Source::Following(following) = &self.0 {
            let offset = now - following.start.elapsed();
            following.offset.store(offset.0, Ordering::Relaxed);
        }
    }

    /// True when it follows another clock.
    pub(in crate::store) fn is_following(&self) -> bool {
        matches!(self.0, Source::Following(_))
    }

    /// True for the machine's clock.
    pub(in crate::store) fn is_system(&self) -> bool {
        matches!(self.0, Source::System)
    }

    /// A clock that stands still until [`Clock::advance`] moves it. Clones share it.
    #[must_use]
    pub fn manual(start: UnixMillis) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        match &self.0 {
            Source::System => OffsetDateTime::now_utc().into(),
            Source::Following(following) => {
                let offset = following.offset.load(Ordering::Relaxed);
                UnixMillis(offset) + following.start.elapsed()
            }
            Source::Manual(millis) => UnixMillis(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward; the machine's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }
}
