//! What one receiver got of one numbered stream: how many, which twice, which
//! out of their order, and which never came.

use std::collections::VecDeque;

/// Numbers that are remembered beyond the first one that is missing. What is
/// still missing when it falls behind that is given up as lost.
const WINDOW: u64 = 64 * 1024;
const BITS: u64 = 64;

/// The count. It takes memory only while something is missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Everything below has come or was given up.
    base: u64,
    /// A bit for each number from `base` on.
    seen: VecDeque<u64>,
    highest: Option<u64>,
    given_up: u64,
    /// Different numbers that came.
    pub(crate) received: u64,
    /// Numbers that had come before.
    pub(crate) duplicates: u64,
    /// Numbers that came after a higher one.
    pub(crate) out_of_order: u64,
}

impl Tally {
    /// A number came; false where it had come before.
    pub(crate) fn record(&mut self, number: u64) -> bool {
        if number < self.base || self.is_seen(number) {
            self.duplicates += 1;
            return false;
        }
        self.received += 1;
        match self.highest {
            Some(highest) if number < highest => self.out_of_order += 1,
            _ => self.highest = Some(number),
        }
        if number == self.base && self.seen.is_empty() {
            self.base += 1;
            return true;
        }
        self.make_room(number);
        self.mark(number);
        self.advance();
        true
    }

    /// How many of the first `sent` numbers never came; those that `excused`
    /// names do not count.
    pub(crate) fn lost(&self, sent: u64, excused: impl Fn(u64) -> bool) -> u64 {
        let missing = (self.base..sent)
            .filter(|number| !self.is_seen(*number) && !excused(*number))
            .count();
        self.given_up + missing as u64
    }

    fn is_seen(&self, number: u64) -> bool {
        let Some(offset) = number.checked_sub(self.word_start()) else {
            return true;
        };
        let word = usize::try_from(offset / BITS).ok();
        let word = word.and_then(|word| self.seen.get(word));
        word.is_some_and(|word| word & (1 << (offset % BITS)) != 0)
    }

    /// The number of the first bit: words begin at multiples of their length.
    fn word_start(&self) -> u64 {
        self.base / BITS * BITS
    }

    fn mark(&mut self, number: u64) {
        let offset = number - self.word_start();
        let word = (offset / BITS) as usize;
        if self.seen.is_empty() {
            // What is below the base in its word has come.
            let below = self.base % BITS;
            self.seen.push_back((1 << below) - 1);
        }
        while self.seen.len() <= word {
            self.seen.push_back(0);
        }
        self.seen[word] |= 1 << (offset % BITS);
    }

    /// Gives up what lies too far behind `number`.
    fn make_room(&mut self, number: u64) {
        while number - self.word_start() >= WINDOW {
            let start = self.word_start();
            let below = self.base - start;
            let word = self.seen.pop_front().unwrap_or((1 << below) - 1);
            self.given_up += u64::from(word.count_zeros());
            self.base = start + BITS;
        }
    }

    /// Moves the base behind everything that has come without a hole.
    fn advance(&mut self) {
        while let Some(word) = self.seen.front() {
            let start = self.word_start();
            if *word == u64::MAX {
                self.seen.pop_front();
                self.base = start + BITS;
                continue;
            }
            self.base = start + u64::from(word.trailing_ones());
            let below = self.base % BITS;
            if self.seen.len() == 1 && *word == (1 << below) - 1 {
                self.seen = VecDeque::new();
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The same as a plain set of everything that came.
        #[test]
        fn it_counts_as_a_set_would(numbers in prop::collection::vec(0_u64..300, 0..400), sent in 0_u64..320) {
            let (mut tally, mut set) = (Tally::default(), BTreeSet::new());
            let (mut duplicates, mut out_of_order) = (0, 0);
            for number in &numbers {
                if set.contains(number) {
                    duplicates += 1;
                } else if set.last().is_some_and(|highest| number < highest) {
                    out_of_order += 1;
                }
                prop_assert_eq!(tally.record(*number), set.insert(*number));
            }
            prop_assert_eq!(tally.received, set.len() as u64);
            prop_assert_eq!(tally.duplicates, duplicates);
            prop_assert_eq!(tally.out_of_order, out_of_order);
            let odd = |number: u64| number % 2 == 1;
            let lost = (0..sent).filter(|number| !set.contains(number));
            prop_assert_eq!(tally.lost(sent, odd), lost.clone().filter(|n| !odd(*n)).count() as u64);
            prop_assert_eq!(tally.lost(sent, |_| false), lost.count() as u64);
        }
    }

    #[test]
    fn a_stream_in_order_takes_no_memory() {
        let mut tally = Tally::default();
        for number in 0..10_000 {
            assert!(tally.record(number));
        }
        assert_eq!(tally.seen.capacity(), 0);
        assert_eq!(tally.lost(10_000, |_| false), 0);
        assert_eq!(tally.lost(10_002, |_| false), 2);
    }

    #[test]
    fn what_is_far_behind_is_given_up_and_memory_stays_bounded() {
        let mut tally = Tally::default();
        tally.record(5);
        let far = 5 + 10 * WINDOW;
        tally.record(far);
        assert!(tally.seen.len() as u64 <= WINDOW / BITS + 1);
        assert_eq!(tally.lost(far + 1, |_| false), far + 1 - 2);
        assert!(!tally.record(0), "too late to tell from a repeat");
    }
}
