//! Polls a future again at once when it woke itself while it was polled.
//!
//! hyper's HTTP/1 connection does so with every request that has a body: the
//! part that reads wakes the part that waits for the body, and both are one
//! task. tokio puts a task that was woken while it ran at the end of the queue
//! and wakes another thread to look for it there, which for a small request
//! costs as much as answering it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;
use pin_project_lite::pin_project;

/// Turns before other tasks get theirs.
const TURNS: usize = 16;

const AT_REST: u8 = 0;
const POLLED: u8 = 1;
const WOKEN: u8 = 2;

pin_project! {
    /// A future that is polled again as long as it wakes itself.
    #[derive(Debug)]
    pub(super) struct Repoll<F> {
        #[pin]
        inner: F,
        wakes: Arc<Wakes>,
        waker: Waker,
    }
}

/// Takes the future's wakes: one that comes while it is polled makes for
/// another turn, any other one wakes the task.
#[derive(Debug, Default)]
struct Wakes {
    state: AtomicU8,
    task: AtomicWaker,
}

impl<F> Repoll<F> {
    pub(super) fn new(inner: F) -> Self {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        Self {
            inner,
            wakes,
            waker,
        }
    }

    /// The future within.
    pub(super) fn inner(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().inner
    }
}

impl<F: Future> Future for Repoll<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        this.wakes.task.register(cx.waker());
        for _ in 0..TURNS {
            this.wakes.enter(POLLED);
            let polled = this
                .inner
                .as_mut()
                .poll(&mut Context::from_waker(this.waker));
            if polled.is_ready() || this.wakes.rest() {
                return polled;
            }
        }
        this.wakes.enter(AT_REST);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wakes {
    /// Reads as well as writes: what was done before the last wake is seen
    /// from here on.
    fn enter(&self, state: u8) {
        self.state.swap(state, Ordering::AcqRel);
    }

    /// Whether nothing woke the future while it was polled.
    fn rest(&self) -> bool {
        let state = &self.state;
        state
            .compare_exchange(POLLED, AT_REST, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Always a write, so that the next turn sees what was done before this
        // wake, whoever noted one already.
        if self.state.swap(WOKEN, Ordering::AcqRel) == AT_REST {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::atomic::AtomicUsize};

    use futures_util::FutureExt as _;

    use super::*;

    #[derive(Debug, Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn woken(count: &Count) -> usize {
        count.0.load(Ordering::Relaxed)
    }

    #[test]
    fn a_future_that_wakes_itself_is_polled_again_and_its_task_is_not_woken() {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let mut left = 3;
        let mut future = Repoll::new(poll_fn(|cx| {
            left -= 1;
            if left == 0 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        let polled = future.poll_unpin(&mut Context::from_waker(&task));
        assert_eq!(polled, Poll::Ready(()));
        assert_eq!(woken(&count), 0);
    }

    #[test]
    fn a_wake_from_elsewhere_wakes_the_task() {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let mut seen = None;
        let mut turns = 0;
        let mut future = Repoll::new(poll_fn(|cx| {
            turns += 1;
            seen = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        let polled = future.poll_unpin(&mut Context::from_waker(&task));
        drop(future);
        assert_eq!((polled, turns), (Poll::Pending, 1));
        seen.unwrap().wake();
        assert_eq!(woken(&count), 1);
    }

    #[test]
    fn one_that_never_stops_lets_others_have_their_turn() {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let mut turns = 0;
        let mut future = Repoll::new(poll_fn(|cx| {
            turns += 1;
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let polled = future.poll_unpin(&mut Context::from_waker(&task));
        drop(future);
        assert_eq!((polled, turns), (Poll::Pending, TURNS));
        assert_eq!(woken(&count), 1);
    }
}
