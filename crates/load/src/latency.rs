//! Latencies: recorded by many connections at once, told as percentiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;

/// Recorders share so many histograms, so that they seldom wait for each other.
const SHARDS: usize = 4;
const LONGEST: Duration = Duration::from_secs(600);
/// Three digits: 1.00 ms is told from 1.01 ms.
const DIGITS: u8 = 3;

/// Takes latencies in.
#[derive(Debug)]
pub(crate) struct Latency {
    shards: [Mutex<Histogram<u64>>; SHARDS],
}

/// What the latencies were, in microseconds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Percentiles {
    /// How many there are.
    pub count: u64,
    /// The mean.
    pub mean_us: f64,
    /// Half are at most this.
    pub p50_us: f64,
    /// 90 of 100 are at most this.
    pub p90_us: f64,
    /// 99 of 100 are at most this.
    pub p99_us: f64,
    /// 999 of 1000 are at most this.
    pub p99_9_us: f64,
    /// The longest.
    pub max_us: f64,
    #[serde(skip)]
    pub(crate) all: Histogram<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        let shard = |_| Mutex::new(empty());
        Self {
            shards: std::array::from_fn(shard),
        }
    }
}

impl Latency {
    /// Records nanoseconds for the recorder at place `at`.
    pub(crate) fn record(&self, at: usize, nanoseconds: u64) {
        self.shards[at % SHARDS]
            .lock()
            .saturating_record(nanoseconds);
    }

    /// Everything so far; `None` where nothing was recorded.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        let mut all = empty();
        for shard in &self.shards {
            all.add(&*shard.lock())
                .expect("histograms of the same bounds add up");
        }
        (!all.is_empty()).then(|| Percentiles::of(all))
    }
}

impl Percentiles {
    fn of(all: Histogram<u64>) -> Self {
        let at = |share: f64| all.value_at_quantile(share) as f64 / 1e3;
        Self {
            count: all.len(),
            mean_us: all.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p99_9_us: at(0.999),
            max_us: all.max() as f64 / 1e3,
            all,
        }
    }

    /// The latency that `percent` of all do not exceed, in seconds.
    pub(crate) fn at(&self, percent: f64) -> f64 {
        self.all.value_at_quantile(percent / 100.0) as f64 / 1e9
    }
}

fn empty() -> Histogram<u64> {
    let longest = LONGEST.as_nanos() as u64;
    Histogram::new_with_bounds(1_000, longest, DIGITS).expect("the bounds are in order")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Each percentile is the value of its rank, to three digits.
        #[test]
        fn percentiles_are_those_of_the_sorted_values(mut values in prop::collection::vec(10_000_u64..5_000_000_000, 1..300)) {
            let latency = Latency::default();
            for (at, value) in values.iter().enumerate() {
                latency.record(at, *value);
            }
            let told = latency.percentiles().unwrap();
            values.sort_unstable();
            prop_assert_eq!(told.count, values.len() as u64);
            for percent in [50.0, 90.0, 99.0, 100.0] {
                let rank = (percent / 100.0 * values.len() as f64).ceil() as usize;
                let exact = values[rank.max(1) - 1] as f64 / 1e9;
                prop_assert!((told.at(percent) - exact).abs() <= exact * 2e-3 + 2e-6, "p{percent}: {} {exact}", told.at(percent));
            }
        }
    }

    #[test]
    fn nothing_recorded_is_no_percentile_and_the_longest_is_bounded() {
        let latency = Latency::default();
        assert!(latency.percentiles().is_none());
        latency.record(0, u64::MAX);
        assert!(latency.percentiles().unwrap().at(100.0) >= LONGEST.as_secs_f64());
    }
}
