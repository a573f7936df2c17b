//! Who sends what when: a fixed plan, made before the run, that does not wait
//! for the server. A send that comes late was still due at its time, so that a
//! server which stalls is charged for everything that it held up (coordinated
//! omission).

use std::time::{Duration, Instant};

/// What timers are late by, which is not the server's doing.
const TIMER_GRAIN: Duration = Duration::from_millis(1);

/// The plan of sends to users by several senders. A user has one sender, so
/// that what is sent to a user is sent in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    users: u64,
    senders: u64,
}

/// One send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Send {
    /// To whom: a place among the users.
    pub(crate) user: u64,
    /// Which one of that user's, from 0.
    pub(crate) number: u64,
    /// Its place among all sends.
    pub(crate) slot: u64,
}

impl Plan {
    /// There are never more senders than users.
    pub(crate) fn new(users: u64, senders: u64) -> Self {
        let users = users.max(1);
        Self {
            users,
            senders: senders.clamp(1, users),
        }
    }

    pub(crate) fn senders(self) -> u64 {
        self.senders
    }

    /// The send of `sender` in its `round`, from 0.
    pub(crate) fn send(self, sender: u64, round: u64) -> Send {
        let own = self.users_of(sender);
        Send {
            user: sender + round % own * self.senders,
            number: round / own,
            slot: sender + round * self.senders,
        }
    }

    /// How many sends a user had when its sender did `rounds`.
    pub(crate) fn sent_to(self, user: u64, rounds: u64) -> u64 {
        let own = self.users_of(user % self.senders);
        let place = user / self.senders;
        rounds / own + u64::from(place < rounds % own)
    }

    fn users_of(self, sender: u64) -> u64 {
        (self.users - sender).div_ceil(self.senders)
    }
}

/// How many slots are due before `span` is over.
pub(crate) fn slots_in(span: Duration, rate: f64) -> u64 {
    let mut slots = (span.as_secs_f64() * rate).ceil() as u64;
    // The product may be a little above a whole number.
    while slots > 0 && due(slots - 1, rate).is_none_or(|due| due >= span) {
        slots -= 1;
    }
    slots
}

/// What a send that waited for its time is charged from, when it goes at `now`:
/// not from its time where the timer alone is late. A sender that was held up
/// for longer than that is late itself, and so is what it sends.
pub(crate) fn woken(due: Instant, now: Instant) -> Instant {
    now.min(due + TIMER_GRAIN)
}

/// When slot number `slot` is due after the start, at `rate` a second; `None`
/// where there is no rate.
pub(crate) fn due(slot: u64, rate: f64) -> Option<Duration> {
    (rate > 0.0).then(|| Duration::from_secs_f64(slot as f64 / rate))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_user_has_one_sender_and_gets_every_number_once(users in 1_u64..40, senders in 1_u64..12, rounds in 0_u64..60) {
            let plan = Plan::new(users, senders);
            let mut next: HashMap<u64, u64> = HashMap::new();
            let mut owner = HashMap::new();
            let mut slots = std::collections::BTreeSet::new();
            for sender in 0..plan.senders() {
                for round in 0..rounds {
                    let send = plan.send(sender, round);
                    prop_assert!(send.user < users);
                    prop_assert_eq!(*owner.entry(send.user).or_insert(sender), sender);
                    let next = next.entry(send.user).or_default();
                    prop_assert_eq!(send.number, *next);
                    *next += 1;
                    prop_assert!(slots.insert(send.slot));
                }
            }
            for user in 0..users {
                prop_assert_eq!(plan.sent_to(user, rounds), next.get(&user).copied().unwrap_or(0));
            }
            prop_assert_eq!(slots.last().map_or(0, |last| last + 1), rounds * plan.senders());
        }
    }

    #[test]
    fn slots_are_spread_evenly_over_time() {
        assert_eq!(due(500, 1000.0), Some(Duration::from_millis(500)));
        assert_eq!(due(7, 0.0), None);
    }

    #[test]
    fn as_many_slots_are_due_as_come_before_the_end() {
        for (rate, millis) in [
            (300.0, 0),
            (300.0, 1),
            (300.0, 10),
            (300.0, 999),
            (300.0, 1000),
            (300.0, 1001),
            (100.0, 1100),
            (50.0, 2200),
        ] {
            let span = Duration::from_millis(millis);
            let due_before = (0..).take_while(|slot| due(*slot, rate).unwrap() < span);
            assert_eq!(slots_in(span, rate), due_before.count() as u64, "{millis}");
        }
    }

    #[test]
    fn only_the_grain_of_timers_is_forgiven() {
        let due = Instant::now();
        let after = |micros| due + Duration::from_micros(micros);
        assert_eq!(woken(due, after(300)), after(300));
        assert_eq!(woken(due, after(90_000)), after(1000));
    }
}
