//! Clients that have not said where they stand: each has a moment to call
//! `Resume`, and one that did not gets what nobody confirmed.
//!
//! All of them wait equally long, so they wait in one line: a crowd that comes
//! at once costs a few timers and tasks, and not one of each for every client.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use futures_util::future::join_all;
use parking_lot::Mutex;
use signalr::Context;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::Delivery;

/// A client that knows of `Resume` calls it at once. One that has not called
/// it this long after connecting does not know of it.
const RESUME_GRACE: Duration = Duration::from_secs(1);

/// Those whose time comes so soon after the first one's are looked at with it.
const TOGETHER: Duration = Duration::from_millis(20);

/// The line. It is never longer than there are connections that came within
/// [`RESUME_GRACE`].
#[derive(Debug, Default)]
pub(super) struct Unresumed {
    line: Mutex<VecDeque<(Instant, Context)>>,
    /// Told when somebody waits and nobody did before.
    came: Notify,
}

impl Unresumed {
    /// The client has its moment from now on.
    pub(super) fn enter(&self, context: Context) {
        let mut line = self.line.lock();
        if line.is_empty() {
            self.came.notify_one();
        }
        line.push_back((Instant::now() + RESUME_GRACE, context));
    }

    /// Waits for those whose time has come. May be dropped while it waits.
    async fn due(&self) -> Vec<Context> {
        loop {
            let first = self.line.lock().front().map(|(due, _)| *due);
            match first {
                Some(due) => sleep_until(due + TOGETHER).await,
                None => self.came.notified().await,
            }
            let now = Instant::now();
            let mut line = self.line.lock();
            let count = line.partition_point(|(due, _)| *due <= now);
            if count > 0 {
                let due = line.drain(..count).map(|(_, context)| context).collect();
                if line.is_empty() {
                    // A crowd comes seldom, and its room is not kept.
                    *line = VecDeque::new();
                }
                return due;
            }
        }
    }
}

impl Delivery {
    /// Begins with those that did not call `Resume` in time, until `stop`.
    ///
    /// # Errors
    /// None.
    pub async fn serve_unresumed(self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                due = self.shared.unresumed.due() => {
                    let delivery = self.clone();
                    // A client that reads slowly keeps neither the next ones
                    // waiting nor the connections of those beside it.
                    under_way.spawn(async move {
                        let begin = due.into_iter().map(async |context| {
                            delivery.begin_unresumed(&context).await;
                        });
                        join_all(begin).await;
                    });
                }
                Some(_) = under_way.join_next() => {}
            }
        }
    }
}
