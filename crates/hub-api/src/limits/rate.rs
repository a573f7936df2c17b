//! A bounded rate limit: so many a minute for each key, refilled steadily.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

const MINUTE: Duration = Duration::from_secs(60);

/// A token bucket for each key.
pub(crate) struct RateLimit<K> {
    a_minute: u32,
    /// Keys that are remembered. Those beyond share one bucket.
    most: usize,
    buckets: Mutex<HashMap<Option<K>, Bucket>>,
}

/// The keys are somebody's, so that only their number is shown.
impl<K> fmt::Debug for RateLimit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("a_minute", &self.a_minute)
            .field("known", &self.buckets.lock().len())
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl<K: Hash + Eq> RateLimit<K> {
    /// So many `a_minute` for each of the `most` keys that are told apart.
    pub(crate) fn per_minute(a_minute: u32, most: usize) -> Self {
        Self {
            a_minute,
            most,
            buckets: Mutex::default(),
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
        let known = buckets.contains_key(&key);
        if !known && !take {
            return Ok(());
        }
        if !known && buckets.len() >= self.most {
            // Who was quiet for a minute has a full bucket again.
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < MINUTE);
        }
        let crowded = !known && buckets.len() >= self.most;
        let key = if crowded { None } else { key };
        let bucket = buckets.entry(key).or_insert(Bucket {
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
        assert!(limit.buckets.lock().len() <= MOST + 1);
        assert!(limit.take(3 * MOST, now).is_err());
        assert!(limit.take(3 * MOST, now + MINUTE * 2).is_ok());
    }
}
