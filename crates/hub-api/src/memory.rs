//! Gives back the memory of connections that have left.
//!
//! What one thread frees for another stays with that other one until it
//! allocates again: mimalloc has no other moment for it. A hub whose crowd has
//! gone allocates little, and would keep what the crowd took.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use parking_lot::{Condvar, Mutex};
use tokio::{runtime::Handle, time::interval};

/// How often memory is given back.
const EVERY: Duration = Duration::from_secs(20);
/// How long the threads wait for each other. A busy one does not come in time;
/// it allocates, and needs no reminder.
const PATIENCE: Duration = Duration::from_millis(2);

/// Reminds every thread of the runtime now and then, for ever.
pub(crate) async fn give_back() {
    let mut turns = interval(EVERY);
    loop {
        turns.tick().await;
        on_each_worker(collect, PATIENCE).await;
    }
}

/// Runs `action` on all threads of the runtime that are found within `patience`.
async fn on_each_worker(action: impl Fn() + Clone + Send + 'static, patience: Duration) {
    let workers = Handle::current().metrics().num_workers();
    let meeting = Arc::new(Meeting::default());
    let until = Instant::now() + patience;
    let turns = (0..workers).map(|_| {
        let (action, meeting) = (action.clone(), Arc::clone(&meeting));
        // Blocks the thread, on purpose: so that each task finds another one.
        tokio::spawn(async move {
            action();
            meeting.wait_for(workers, until);
        })
    });
    join_all(turns).await;
}

#[derive(Debug, Default)]
struct Meeting {
    arrived: Mutex<usize>,
    changed: Condvar,
}

impl Meeting {
    /// Waits until so many threads are here, and no longer than `until`.
    fn wait_for(&self, all: usize, until: Instant) {
        let mut arrived = self.arrived.lock();
        *arrived += 1;
        self.changed.notify_all();
        let some_missing = |arrived: &mut usize| *arrived < all;
        self.changed
            .wait_while_until(&mut arrived, some_missing, until);
    }
}

/// Gives back what this thread has no use for.
#[expect(
    unsafe_code,
    reason = "the allocator has no other interface; it may be called on any thread at any time"
)]
fn collect() {
    // SAFETY: the function has no precondition, and touches what is free only.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn every_thread_has_its_turn() {
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let noted = Arc::clone(&seen);
        let note = move || {
            noted.lock().insert(thread::current().id());
        };
        on_each_worker(note, Duration::from_secs(60)).await;
        assert_eq!(seen.lock().len(), 3);
    }

    #[tokio::test]
    async fn a_thread_that_does_not_come_is_not_waited_for() {
        let meeting = Meeting::default();
        meeting.wait_for(2, Instant::now() + Duration::from_millis(1));
        assert_eq!(*meeting.arrived.lock(), 1);
        on_each_worker(collect, PATIENCE).await;
    }
}
