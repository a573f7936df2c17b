//! The circuit breaker in front of the hub.
//!
//! Some failures in a row open it; while it is open nobody calls the hub; after
//! a pause one call may try (half-open), and its outcome closes or opens the
//! breaker again. A call that is not permitted is not a failed call: it spends
//! no attempt of anything. The time is an argument, never asked for here.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Counts failures and decides who may call.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures_to_open: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    /// Nobody may call before then; `None`: one may try at once.
    Open {
        until: Option<Instant>,
    },
    /// One call is trying, since then.
    HalfOpen {
        since: Instant,
    },
}

/// What the breaker is, for health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerState {
    Closed,
    Open,
    HalfOpen,
}

impl BreakerState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// One permitted call. Dropped without a verdict (the caller gave up waiting),
/// it counts neither way.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    probe: bool,
    judged: bool,
}

impl Breaker {
    pub(crate) fn new(failures_to_open: u32, pause: Duration) -> Self {
        let state = Mutex::new(State::Closed { failures: 0 });
        Self {
            failures_to_open,
            pause,
            state,
        }
    }

    /// Permits a call, or tells how long to wait before asking again.
    pub(crate) fn permit(&self, now: Instant) -> Result<Permit<'_>, Duration> {
        let mut state = self.lock();
        let probe = match *state {
            State::Closed { .. } => false,
            State::Open { until: Some(until) } if now < until => return Err(until - now),
            // A probe that never ends must not lock the others out for ever.
            State::HalfOpen { since } if now < since + self.pause => {
                return Err((self.pause / 20).min(since + self.pause - now));
            }
            State::Open { .. } | State::HalfOpen { .. } => {
                *state = State::HalfOpen { since: now };
                true
            }
        };
        Ok(Permit {
            breaker: self,
            probe,
            judged: false,
        })
    }

    pub(crate) fn state(&self) -> BreakerState {
        match *self.lock() {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// A panic while the lock is held is impossible: no code of others runs under it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The hub answered as a working hub does.
    pub(crate) fn succeeded(mut self) {
        self.judged = true;
        *self.breaker.lock() = State::Closed { failures: 0 };
    }

    /// The hub could not be reached, or is out of order.
    pub(crate) fn failed(mut self, now: Instant) {
        self.judged = true;
        let mut state = self.breaker.lock();
        let opened = State::Open {
            until: Some(now + self.breaker.pause),
        };
        *state = match *state {
            State::Closed { failures } if failures + 1 < self.breaker.failures_to_open => {
                State::Closed {
                    failures: failures + 1,
                }
            }
            State::Closed { .. } => opened,
            State::HalfOpen { .. } if self.probe => opened,
            // A call from before it opened says nothing new.
            other => other,
        };
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe && !self.judged {
            let mut state = self.breaker.lock();
            if let State::HalfOpen { .. } = *state {
                *state = State::Open { until: None };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    fn opened(now: Instant) -> Breaker {
        let breaker = Breaker::new(5, PAUSE);
        for _ in 0..5 {
            breaker.permit(now).unwrap().failed(now);
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_between_does_not() {
        let (breaker, now) = (Breaker::new(5, PAUSE), Instant::now());
        for _ in 0..4 {
            breaker.permit(now).unwrap().failed(now);
        }
        breaker.permit(now).unwrap().succeeded();
        for _ in 0..4 {
            breaker.permit(now).unwrap().failed(now);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.permit(now).unwrap().failed(now);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.permit(now).unwrap_err(), PAUSE);
    }

    #[test]
    fn after_the_pause_one_call_tries_and_decides_for_all() {
        let began = Instant::now();
        let breaker = opened(began);
        assert!(
            breaker
                .permit(began + PAUSE - Duration::from_millis(1))
                .is_err()
        );
        let now = began + PAUSE;
        let probe = breaker.permit(now).unwrap();
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(breaker.permit(now).is_err());
        probe.failed(now);
        assert_eq!(breaker.permit(now).unwrap_err(), PAUSE);
        breaker.permit(now + PAUSE).unwrap().succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(breaker.permit(now + PAUSE).is_ok());
    }

    #[test]
    fn a_probe_that_was_dropped_or_hangs_lets_another_try() {
        let began = Instant::now();
        let breaker = opened(began);
        drop(breaker.permit(began + PAUSE).unwrap());
        let hanging = breaker.permit(began + PAUSE).unwrap();
        assert!(breaker.permit(began + PAUSE).is_err());
        assert!(breaker.permit(began + PAUSE * 2).is_ok());
        drop(hanging);
    }

    #[test]
    fn a_late_failure_from_before_it_opened_prolongs_nothing() {
        let (breaker, now) = (Breaker::new(5, PAUSE), Instant::now());
        let late = breaker.permit(now).unwrap();
        for _ in 0..5 {
            breaker.permit(now).unwrap().failed(now);
        }
        late.failed(now + PAUSE / 2);
        assert_eq!(breaker.permit(now + PAUSE / 2).unwrap_err(), PAUSE / 2);
    }
}
