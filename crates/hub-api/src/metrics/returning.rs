//! Who comes back soon after leaving: the reconnects of clients that say
//! nothing of it.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use telemetry::metrics::Counter;

/// Whoever comes back within this time reconnects.
const SOON: Duration = Duration::from_secs(60);

/// Places for users who left. Two users in one place overwrite each other,
/// which makes the count a little too low.
const PLACES: usize = 16 * 1_024;

/// Users who left: no names, nothing that grows, no lock.
#[derive(Debug)]
pub(super) struct Returning {
    began: Instant,
    hasher: RandomState,
    /// The second of leaving in the low half, a part of the user's hash in the
    /// high one; 0 for none.
    places: Box<[AtomicU64]>,
    count: Counter,
}

impl Default for Returning {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            hasher: RandomState::new(),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            count: Counter::default(),
        }
    }
}

impl Returning {
    pub(super) fn left(&self, user: &str) {
        let (place, mark) = self.place(user);
        let now = self.began.elapsed().as_secs() & u64::from(u32::MAX);
        place.store(mark | now, Ordering::Relaxed);
    }

    pub(super) fn came(&self, user: &str) {
        let (place, mark) = self.place(user);
        let left = place.load(Ordering::Relaxed);
        let seconds = left & u64::from(u32::MAX);
        let ago = self.began.elapsed().as_secs().saturating_sub(seconds);
        let same = left != 0 && left & !u64::from(u32::MAX) == mark;
        // Whoever left once comes back once.
        if same
            && ago <= SOON.as_secs()
            && place
                .compare_exchange(left, 0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.count.increment();
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.get()
    }

    fn place(&self, user: &str) -> (&AtomicU64, u64) {
        let hash = self.hasher.hash_one(user);
        let mark = (hash | 1 << 63) & !u64::from(u32::MAX);
        (&self.places[hash as usize % PLACES], mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_left_comes_back_once() {
        let returning = Returning::default();
        returning.came("ada");
        assert_eq!(returning.count(), 0);
        returning.left("ada");
        returning.came("bob");
        assert_eq!(returning.count(), 0);
        returning.came("ada");
        returning.came("ada");
        assert_eq!(returning.count(), 1);
    }
}
