//! Attempts that were denied: each is counted, and bounded in its rate by where
//! it comes from; who denies it logs it once, unless there were too many. Only what is denied is slowed down, so that
//! nobody with a good token waits for a neighbour behind the same proxy.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::{Refusal, rate_key};
use crate::limits::RateLimit;

/// Sources that are told apart.
const MOST_SOURCES: usize = 10_000;

/// Why an attempt was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// A token was needed and none came.
    NoToken,
    /// A token that is no good.
    BadToken,
    /// A token that was good once.
    ExpiredToken,
    /// The caller lacks the role.
    Role,
    /// A page of another origin opened a WebSocket.
    Origin,
    /// The address may not make internal calls.
    Network,
    /// An internal call without the secret.
    Secret,
    /// The caller was denied too often, or calls too often.
    Rate,
}

impl Denied {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 8] = [
        Self::NoToken,
        Self::BadToken,
        Self::ExpiredToken,
        Self::Role,
        Self::Origin,
        Self::Network,
        Self::Secret,
        Self::Rate,
    ];

    /// The reason as a label of a metric and a field of a log line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::BadToken => "bad_token",
            Self::ExpiredToken => "expired_token",
            Self::Role => "role",
            Self::Origin => "origin",
            Self::Network => "network",
            Self::Secret => "secret",
            Self::Rate => "rate",
        }
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::NoToken,
            Refusal::Expired => Self::ExpiredToken,
            _ => Self::BadToken,
        }
    }
}

/// The counts, and the rates of the sources.
#[derive(Debug)]
pub struct Denials {
    counts: [AtomicU64; Denied::ALL.len()],
    sources: RateLimit<IpAddr>,
}

impl Denials {
    /// No denial yet; each source may be denied so often a minute before it is
    /// only told to wait.
    #[must_use]
    pub fn new(a_minute: u32) -> Self {
        Self {
            counts: Default::default(),
            sources: RateLimit::per_minute(a_minute, MOST_SOURCES),
        }
    }

    /// Counts that a call of `source` was denied.
    ///
    /// # Errors
    /// The seconds after which the source may try again, where it was denied
    /// too often. Such an attempt is counted as one of [`Denied::Rate`], and is
    /// not to be logged: a flood must not fill the disk.
    pub fn note(&self, why: Denied, source: IpAddr) -> Result<(), u32> {
        match self.sources.take(rate_key(source), Instant::now()) {
            Ok(()) => {
                self.count(why);
                Ok(())
            }
            Err(seconds) => {
                self.count(Denied::Rate);
                Err(seconds)
            }
        }
    }

    /// Counts an attempt that somebody else logs and bounds.
    pub fn count(&self, why: Denied) {
        self.counts[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The attempts since the start, by reason.
    pub fn counts(&self) -> impl Iterator<Item = (Denied, u64)> {
        Denied::ALL
            .into_iter()
            .zip(&self.counts)
            .map(|(why, count)| (why, count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(denials: &Denials, why: Denied) -> u64 {
        let found = denials.counts().find(|(each, _)| *each == why);
        found.map_or(0, |(_, count)| count)
    }

    #[test]
    fn every_reason_has_its_counter() {
        for (index, why) in Denied::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, index, "{}", why.name());
        }
    }

    #[test]
    fn attempts_are_counted_and_a_source_that_goes_on_is_told_to_wait() {
        let denials = Denials::new(2);
        let (bad, good) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..2 {
            assert_eq!(denials.note(Denied::NoToken, bad), Ok(()));
        }
        for _ in 0..3 {
            assert!(denials.note(Denied::BadToken, bad).is_err());
        }
        assert_eq!(denials.note(Denied::BadToken, good), Ok(()));
        assert_eq!(counted(&denials, Denied::NoToken), 2);
        assert_eq!(counted(&denials, Denied::BadToken), 1);
        assert_eq!(counted(&denials, Denied::Rate), 3);
    }
}
