//! How long to wait before trying again.
//!
//! Exponential with full jitter: a random time up to a bound that doubles, so
//! that many workers that failed together do not come back together.

use std::time::Duration;

/// The waits of one loop.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// The first wait is at most `base`, no later one longer than `cap`.
    pub(crate) fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            failures: 0,
        }
    }

    /// The next wait. Never shorter than a tenth of its bound: a loop must not spin.
    pub(crate) fn next(&mut self) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(rand::random_range(0.1..=1.0))
    }

    /// It worked: begin anew.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    fn bound(&self) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures.min(20));
        self.base.saturating_mul(factor).min(self.cap)
    }
}

/// A random time in the first half after `least`: those who wait for the same
/// moment spread.
pub(crate) fn spread(least: Duration) -> Duration {
    least
        + least
            .min(Duration::from_secs(5))
            .mul_f64(rand::random_range(0.0..0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_vary_and_begin_anew() {
        let (base, cap) = (Duration::from_millis(100), Duration::from_secs(3));
        let mut backoff = Backoff::new(base, cap);
        let mut waits = Vec::new();
        for failure in 0..200 {
            let wait = backoff.next();
            let bound = base.saturating_mul(2_u32.saturating_pow(failure)).min(cap);
            assert!(
                wait <= bound && wait >= bound / 10,
                "{failure}: {wait:?} of {bound:?}"
            );
            waits.push(wait);
        }
        waits.sort();
        waits.dedup();
        assert!(waits.len() > 100);
        backoff.reset();
        assert!(backoff.next() <= base);
    }
}
