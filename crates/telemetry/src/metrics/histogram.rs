//! How often something was how large.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds in seconds: from what memory takes to what a person gives up at.
pub const LATENCY: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Upper bounds of numbers of things.
pub const SIZES: &[f64] = &[
    0.0, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0,
];

/// The sum is kept in millionths.
const PARTS: f64 = 1e6;

/// A histogram: two atomic additions an observation.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One a bound, and one for what is above all of them.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// With the upper bounds of its buckets, in rising order.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// A time.
    pub fn record(&self, took: Duration) {
        self.observe(took.as_secs_f64());
    }

    /// A size, from 0 on.
    pub fn observe(&self, value: f64) {
        let index = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[index].fetch_add(1, Ordering::Relaxed);
        let parts = (value.max(0.0) * PARTS).round();
        // A float becomes the nearest integer that there is.
        self.sum.fetch_add(parts as u64, Ordering::Relaxed);
    }

    /// How many observations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .sum()
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum.load(Ordering::Relaxed) as f64 / PARTS
    }

    /// Each bucket's upper bound with what is in that bucket alone.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.buckets.iter();
        bounds
            .zip(counts.map(|bucket| bucket.load(Ordering::Relaxed)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.0, 1.0, 1.5, 2.0, 2.5, 100.0] {
            histogram.observe(value);
        }
        assert_eq!(
            histogram.buckets(),
            [(1.0, 2), (2.0, 2), (f64::INFINITY, 2)]
        );
        assert_eq!(histogram.count(), 6);
        assert!((histogram.sum() - 107.0).abs() < 1e-9);
    }

    #[test]
    fn bounds_rise() {
        for bounds in [LATENCY, SIZES] {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
