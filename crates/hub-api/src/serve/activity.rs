//! Whether anything is under way on a connection: a request, or the body of
//! its answer. A connection on which nothing is for a while is closed.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// What is under way on one connection. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    under_way: usize,
    /// Since when nothing is, where nothing is.
    idle_since: Instant,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            under_way: 0,
            idle_since: Instant::now(),
        })))
    }

    /// A request begins; it ends when the result is dropped.
    pub(super) fn begin(&self) -> UnderWay {
        self.0.lock().under_way += 1;
        UnderWay(self.clone())
    }

    /// Done when nothing was under way for `limit`.
    pub(super) async fn idle(&self, limit: Duration) {
        loop {
            let until = {
                let state = self.0.lock();
                let since = if state.under_way > 0 {
                    Instant::now()
                } else {
                    state.idle_since
                };
                since + limit
            };
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// One request under way.
#[derive(Debug)]
pub(super) struct UnderWay(Activity);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.under_way -= 1;
        state.idle_since = Instant::now();
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

    #[tokio::test]
    async fn a_request_under_way_is_no_idleness() {
        let activity = Activity::new();
        let under_way = activity.begin();
        let limit = Duration::from_millis(5);
        let idle = activity.idle(limit);
        assert!(
            tokio::time::timeout(Duration::from_millis(50), idle)
                .await
                .is_err()
        );
        drop(under_way);
        activity.idle(limit).await;
    }
}
