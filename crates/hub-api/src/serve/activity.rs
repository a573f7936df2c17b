//! What is under way on one connection, and since when nothing is: the head of
//! a request that is arriving, a request, the body of its answer, or nothing.
//!
//! Two limits hang on it, and they never run together: a head has its time
//! from its first byte, and a connection without a request has its time from
//! the end of the last one. A request itself has limits of its own elsewhere.

use std::{
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

/// No time at all, in the counters below.
const NEVER: u64 = 0;

/// What is under way on one connection. Clones share it.
///
/// The socket asks at each read, also of an upgraded connection, so that it is
/// made of a few atomic numbers and no lock.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<State>);

#[derive(Debug)]
struct State {
    opened: Instant,
    under_way: AtomicUsize,
    /// Milliseconds after `opened`, and one more, since when nothing is under way.
    idle_since: AtomicU64,
    /// The same for the first byte of a head that is not complete, or [`NEVER`].
    head_since: AtomicU64,
    /// HTTP/2 talks also between requests, so that bytes are no head there.
    multiplexed: AtomicBool,
}

/// How long a connection may be without a complete request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the first byte of a head to its end.
    pub(super) header: Duration,
    /// Between two requests.
    pub(super) idle: Duration,
}

/// Which time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A head did not come to its end.
    Header,
    /// No request came.
    Idle,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(State {
            opened: Instant::now(),
            under_way: AtomicUsize::new(0),
            idle_since: AtomicU64::new(1),
            head_since: AtomicU64::new(NEVER),
            multiplexed: AtomicBool::new(false),
        }))
    }

    /// Bytes came. Where nothing is under way they begin a head.
    pub(super) fn arrived(&self) {
        let state = &self.0;
        if state.head_since.load(Ordering::Acquire) != NEVER
            || state.under_way.load(Ordering::Acquire) > 0
            || state.multiplexed.load(Ordering::Relaxed)
        {
            return;
        }
        state.head_since.store(state.now(), Ordering::Release);
    }

    /// Bytes were sent: the end of an answer that the peer reads slowly.
    pub(super) fn sent(&self) {
        let state = &self.0;
        // Between two requests only: a busy or upgraded connection does not
        // ask for the time at each write.
        let between = state.under_way.load(Ordering::Acquire) == 0
            && state.head_since.load(Ordering::Acquire) == NEVER;
        if between && !state.multiplexed.load(Ordering::Relaxed) {
            self.idle_from_now();
        }
    }

    /// The idle time begins anew.
    pub(super) fn idle_from_now(&self) {
        self.0.idle_since.store(self.0.now(), Ordering::Release);
    }

    /// A request begins: its head is complete. It ends when the result is dropped.
    pub(super) fn begin(&self, multiplexed: bool) -> UnderWay {
        let state = &self.0;
        state.multiplexed.store(multiplexed, Ordering::Relaxed);
        state.under_way.fetch_add(1, Ordering::AcqRel);
        state.head_since.store(NEVER, Ordering::Release);
        UnderWay(self.clone())
    }

    /// Done when one of the times of `patience` is over.
    pub(super) async fn overdue(&self, patience: Patience) -> Overdue {
        let mut timer = pin!(sleep_until(self.deadline(patience).0));
        poll_fn(|cx| {
            loop {
                let (deadline, why) = self.deadline(patience);
                // A deadline that moved away is looked at when the timer has
                // run out: a request then costs no change of a timer.
                if deadline < timer.deadline() {
                    timer.as_mut().reset(deadline);
                }
                ready!(timer.as_mut().poll(cx));
                if deadline <= Instant::now() {
                    return Poll::Ready(why);
                }
                timer.as_mut().reset(deadline);
            }
        })
        .await
    }

    /// When the connection is overdue, if nothing happens until then.
    fn deadline(&self, patience: Patience) -> (Instant, Overdue) {
        let state = &self.0;
        let after = |since: u64| state.opened + Duration::from_millis(since.saturating_sub(1));
        if state.under_way.load(Ordering::Acquire) > 0 {
            return (Instant::now() + patience.idle, Overdue::Idle);
        }
        match state.head_since.load(Ordering::Acquire) {
            NEVER => {
                let since = after(state.idle_since.load(Ordering::Acquire));
                (since + patience.idle, Overdue::Idle)
            }
            since => (after(since) + patience.header, Overdue::Header),
        }
    }
}

impl State {
    fn now(&self) -> u64 {
        let passed = self.opened.elapsed().as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX - 1) + 1
    }
}

/// One request under way.
#[derive(Debug)]
pub(super) struct UnderWay(Activity);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let state = &self.0.0;
        state.idle_since.store(state.now(), Ordering::Release);
        state.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The body of an answer, which keeps its request under way until it is sent.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) body: Body,
    pub(super) _under_way: UnderWay,
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(75),
    };

    fn why(activity: &Activity) -> Overdue {
        activity.deadline(PATIENCE).1
    }

    #[test]
    fn a_connection_without_a_request_has_the_idle_time_from_its_beginning() {
        let activity = Activity::new();
        let whole = activity.0.opened + PATIENCE.idle;
        assert_eq!(activity.deadline(PATIENCE), (whole, Overdue::Idle));
    }

    #[test]
    fn a_head_has_its_time_from_its_first_byte_however_it_dribbles() {
        let activity = Activity::new();
        activity.arrived();
        let first = activity.deadline(PATIENCE);
        assert_eq!(first.1, Overdue::Header);
        std::thread::sleep(Duration::from_millis(5));
        activity.arrived();
        assert_eq!(activity.deadline(PATIENCE), first);
    }

    #[test]
    fn a_request_under_way_is_neither_idle_nor_a_head() {
        let activity = Activity::new();
        activity.arrived();
        let under_way = activity.begin(false);
        // The rest of its body.
        activity.arrived();
        let (deadline, why) = activity.deadline(PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(why, Overdue::Idle);
        assert!(
            activity.deadline(PATIENCE).0 > deadline,
            "its end moves on as long as it lasts"
        );
        drop(under_way);
        let (deadline, why) = activity.deadline(PATIENCE);
        assert_eq!(why, Overdue::Idle);
        assert!(deadline > activity.0.opened + PATIENCE.idle);
    }

    #[test]
    fn what_is_still_sent_after_a_request_moves_the_idle_time_on() {
        let activity = Activity::new();
        drop(activity.begin(false));
        let (before, _) = activity.deadline(PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
        activity.sent();
        assert!(activity.deadline(PATIENCE).0 > before);
    }

    #[test]
    fn what_http2_says_between_requests_is_no_head() {
        let activity = Activity::new();
        activity.arrived();
        assert_eq!(why(&activity), Overdue::Header);
        drop(activity.begin(true));
        activity.arrived();
        assert_eq!(why(&activity), Overdue::Idle);
    }

    #[tokio::test]
    async fn bytes_that_come_while_the_end_is_waited_for_bring_it_nearer() {
        let patience = Patience {
            header: Duration::from_millis(5),
            idle: Duration::from_secs(3600),
        };
        let activity = Activity::new();
        let other = activity.clone();
        let arrival = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            other.arrived();
            std::future::pending::<()>().await;
        };
        // In the order of a connection: what arrives is polled first.
        tokio::select! {
            biased;
            () = arrival => {}
            why = activity.overdue(patience) => assert_eq!(why, Overdue::Header),
        }
        let patience = Patience {
            header: Duration::from_secs(3600),
            idle: Duration::from_millis(5),
        };
        drop(activity.begin(false));
        assert_eq!(activity.overdue(patience).await, Overdue::Idle);
    }
}
