//! What becomes of an attempt that ran out: tried again after a while, or not.

use std::time::Duration;

use super::clock::UnixMillis;

/// What is known of an attempt that ran out or was given back.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Spent {
    /// The attempt's number.
    pub(in crate::store) attempt: u32,
    /// The last attempt that there is.
    pub(in crate::store) max_attempts: u32,
    /// An outside answer is stored.
    pub(in crate::store) has_reply: bool,
    /// Leases that were spent on mapping that answer.
    pub(in crate::store) reply_leases: u32,
    /// When the analysis is given up.
    pub(in crate::store) deadline: UnixMillis,
}

/// What becomes of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Next {
    /// Ready again from then on.
    At(UnixMillis),
    /// No attempt is left.
    Exhausted,
    /// The deadline has passed.
    Overdue,
}

/// Decides on an attempt whose worker went silent.
///
/// An answer that is stored costs no new attempt: only mapping it is tried
/// again, as often as an attempt would be.
pub(in crate::store) fn after_silence(spent: Spent, now: UnixMillis) -> Next {
    if spent.deadline <= now {
        return Next::Overdue;
    }
    if spent.has_reply {
        return match spent.reply_leases {
            0 => Next::At(now),
            leases if leases < spent.max_attempts => Next::At(now + wait(leases)),
            _ => Next::Exhausted,
        };
    }
    if spent.attempt >= spent.max_attempts {
        return Next::Exhausted;
    }
    Next::At(now + wait(spent.attempt))
}

/// 2^n seconds, at most about nine minutes.
pub(in crate::store) fn wait(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.min(9))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn spent(attempt: u32) -> Spent {
        Spent {
            attempt,
            max_attempts: 3,
            has_reply: false,
            reply_leases: 0,
            deadline: UnixMillis(2_000_000),
        }
    }

    #[test]
    fn waits_double_until_no_attempt_is_left() {
        assert_eq!(
            after_silence(spent(1), NOW),
            Next::At(UnixMillis(1_002_000))
        );
        assert_eq!(
            after_silence(spent(2), NOW),
            Next::At(UnixMillis(1_004_000))
        );
        assert_eq!(after_silence(spent(3), NOW), Next::Exhausted);
    }

    #[test]
    fn a_stored_answer_is_mapped_even_after_the_last_attempt() {
        let reply = Spent {
            has_reply: true,
            ..spent(3)
        };
        assert_eq!(after_silence(reply, NOW), Next::At(NOW));
        let mapped_once = Spent {
            reply_leases: 1,
            ..reply
        };
        assert_eq!(
            after_silence(mapped_once, NOW),
            Next::At(UnixMillis(1_002_000))
        );
        let mapped_thrice = Spent {
            reply_leases: 3,
            ..reply
        };
        assert_eq!(after_silence(mapped_thrice, NOW), Next::Exhausted);
    }

    #[test]
    fn the_deadline_ends_everything() {
        let late = UnixMillis(2_000_000);
        assert_eq!(
            after_silence(
                Spent {
                    has_reply: true,
                    ..spent(1)
                },
                late
            ),
            Next::Overdue
        );
    }
}
