//! A bounded rate limit by source: so many a minute, refilled steadily.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Sources that are remembered. Those beyond share one count.
const MOST_SOURCES: usize = 10_000;

const MINUTE: Duration = Duration::from_secs(60);

/// A token bucket for each source.
#[derive(Debug)]
pub(crate) struct RateLimit {
    a_minute: u32,
    buckets: Mutex<HashMap<Option<IpAddr>, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl RateLimit {
    pub(crate) fn per_minute(a_minute: u32) -> Self {
        Self {
            a_minute,
            buckets: Mutex::default(),
        }
    }

    /// Takes one, or says how many seconds to wait for one.
    pub(crate) fn take(&self, source: IpAddr, now: Instant) -> Result<(), u32> {
        self.with(source, now, true)
    }

    /// Like [`take`](Self::take), without taking.
    pub(crate) fn check(&self, source: IpAddr, now: Instant) -> Result<(), u32> {
        self.with(source, now, false)
    }

    fn with(&self, source: IpAddr, now: Instant, take: bool) -> Result<(), u32> {
        let full = f64::from(self.a_minute);
        let a_second = full / MINUTE.as_secs_f64();
        let mut buckets = self.buckets.lock();
        let known = buckets.contains_key(&Some(source));
        if !known && !take {
            return Ok(());
        }
        if !known && buckets.len() >= MOST_SOURCES {
            // Who was quiet for a minute has a full bucket again.
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < MINUTE);
        }
        let crowded = !known && buckets.len() >= MOST_SOURCES;
        let key = (!crowded).then_some(source);
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
        let limit = RateLimit::per_minute(60);
        let (start, source) = (Instant::now(), IpAddr::from([192, 0, 2, 1]));
        for _ in 0..60 {
            assert!(limit.take(source, start).is_ok());
        }
        assert_eq!(limit.take(source, start), Err(1));
        assert_eq!(limit.check(source, start), Err(1));
        assert!(limit.take(source, start + Duration::from_secs(1)).is_ok());
        assert_eq!(limit.take(source, start + Duration::from_secs(1)), Err(1));
    }

    #[test]
    fn a_crowd_of_sources_shares_one_bucket_and_bounded_memory() {
        let limit = RateLimit::per_minute(1);
        let now = Instant::now();
        let source = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..20_000 {
            let _ = limit.take(source(n), now);
        }
        assert!(limit.buckets.lock().len() <= MOST_SOURCES + 1);
        assert!(limit.take(source(30_000), now).is_err());
        assert!(limit.take(source(30_000), now + MINUTE * 2).is_ok());
    }
}
