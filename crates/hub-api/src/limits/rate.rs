//! A bounded rate limit: so many a minute for each key, refilled steadily.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

const MINUTE: Duration = Duration::from_secs(60);

/// A full table is looked through for keys to forget no more often than this:
/// everybody waits meanwhile.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// A token bucket for each key.
pub(crate) struct RateLimit<K> {
    a_minute: u32,
    /// Keys that are remembered.
    most: usize,
    /// What becomes of those beyond.
    crowd: Crowd,
    buckets: Mutex<Buckets<K>>,
}

/// Keys that cannot be told apart any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crowd {
    /// They have one bucket together.
    Shares,
    /// They are not limited.
    Passes,
}

struct Buckets<K> {
    by_key: HashMap<Option<K>, Bucket>,
    looked: Option<Instant>,
}

/// The keys are somebody's, so that only their number is shown.
impl<K> fmt::Debug for RateLimit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("a_minute", &self.a_minute)
            .field("known", &self.buckets.lock().by_key.len())
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl<K: Hash + Eq> RateLimit<K> {
    /// So many `a_minute` for each of the `most` keys that are told apart, and
    /// for all others together.
    pub(crate) fn per_minute(a_minute: u32, most: usize) -> Self {
        let buckets = Buckets {
            by_key: HashMap::new(),
            looked: None,
        };
        Self {
            a_minute,
            most,
            crowd: Crowd::Shares,
            buckets: Mutex::new(buckets),
        }
    }

    /// The same without a limit for the others: nobody is refused for what
    /// strangers did.
    pub(crate) fn or_pass(self) -> Self {
        Self {
            crowd: Crowd::Passes,
            ..self
        }
    }

    /// Takes one, or says how many seconds to wait for one.
    pub(crate) fn take(&self, key: K, now: Instant) -> Result<(), u32> {
        self.with(key, now, true)
    }

    /// Like [`take`](Self::take), without taking.
    pub(crate) fn check(&self, key: K, now: Instant) -> Result<(), u32> {
        self.with(key, now, false)
    }

    fn with(&self, key: K, now: Instant, take: bool) -> Result<(), u32> {
        let full = f64::from(self.a_minute);
        let a_second = full / MINUTE.as_secs_f64();
        let mut buckets = self.buckets.lock();
        let key = Some(key);
        let known = buckets.by_key.contains_key(&key);
        if !known && !take {
            return Ok(());
        }
        let crowded = !known && !buckets.has_room(self.most, now);
        if crowded && self.crowd == Crowd::Passes {
            return Ok(());
        }
        let key = if crowded { None } else { key };
        let bucket = buckets.by_key.entry(key).or_insert(Bucket {
            tokens: full,
            at: now,
        });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * a_second).min(full);
        bucket.at = bucket.at.max(now);
        if bucket.tokens >= 1.0 {
            if take {
                bucket.tokens -= 1.0;
            }
            return Ok(());
        }
        let wait = ((1.0 - bucket.tokens) / a_second).ceil().clamp(1.0, 60.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is 1 to 60"
        )]
        Err(wait as u32)
    }
}

impl<K: Hash + Eq> Buckets<K> {
    /// Whether there is room for another key, where there is none after
    /// forgetting those that were quiet for a minute: their buckets are full again.
    fn has_room(&mut self, most: usize, now: Instant) -> bool {
        if self.by_key.len() < most {
            return true;
        }
        let since = |then| now.saturating_duration_since(then);
        if self.looked.is_some_and(|then| since(then) < BETWEEN_LOOKS) {
            return false;
        }
        self.looked = Some(now);
        self.by_key.retain(|_, bucket| since(bucket.at) < MINUTE);
        self.by_key.len() < most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_with_time() {
        let limit = RateLimit::per_minute(60, 10);
        let (start, key) = (Instant::now(), "a");
        for _ in 0..60 {
            assert!(limit.take(key, start).is_ok());
        }
        assert_eq!(limit.take(key, start), Err(1));
        assert_eq!(limit.check(key, start), Err(1));
        assert!(limit.take(key, start + Duration::from_secs(1)).is_ok());
        assert_eq!(limit.take(key, start + Duration::from_secs(1)), Err(1));
    }

    #[test]
    fn a_crowd_of_keys_shares_one_bucket_and_bounded_memory() {
        const MOST: usize = 1000;
        let limit = RateLimit::per_minute(1, MOST);
        let now = Instant::now();
        for key in 0..2 * MOST {
            let _ = limit.take(key, now);
        }
        assert!(limit.buckets.lock().by_key.len() <= MOST + 1);
        assert!(limit.take(3 * MOST, now).is_err());
        assert!(limit.take(3 * MOST, now + MINUTE * 2).is_ok());
    }

    #[test]
    fn where_the_crowd_passes_only_those_who_are_known_are_refused() {
        const MOST: usize = 1000;
        let limit = RateLimit::per_minute(1, MOST).or_pass();
        let now = Instant::now();
        for key in 0..MOST {
            limit.take(key, now).unwrap();
        }
        for _ in 0..3 {
            limit.take(MOST, now).unwrap();
        }
        assert!(limit.take(0, now).is_err());
        assert_eq!(limit.buckets.lock().by_key.len(), MOST);
        // Later there is room again, and whoever comes is known.
        let later = now + MINUTE * 2;
        limit.take(MOST, later).unwrap();
        assert!(limit.take(MOST, later).is_err());
        assert_eq!(limit.buckets.lock().by_key.len(), 1);
    }

    #[test]
    fn a_full_table_is_not_looked_through_for_every_stranger() {
        let limit = RateLimit::per_minute(1, 1).or_pass();
        let now = Instant::now();
        limit.take("a", now).unwrap();
        let soon = now + MINUTE - BETWEEN_LOOKS / 2;
        limit.take("b", soon).unwrap();
        // The first could be forgotten by now, and is not looked for.
        let then = soon + BETWEEN_LOOKS * 3 / 4;
        limit.take("b", then).unwrap();
        limit.take("b", then).unwrap();
        let after = soon + BETWEEN_LOOKS;
        limit.take("b", after).unwrap();
        assert!(limit.take("b", after).is_err());
    }
}
