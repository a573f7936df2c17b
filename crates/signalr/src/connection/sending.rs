//! Sending to a connection from anywhere, and waiting for room to.

use std::{
    sync::atomic::Ordering,
    task::{Context as TaskContext, Poll, Waker},
    time::Duration,
};

use super::Connection;
use crate::{
    TransportKind,
    close::CloseReason,
    outbox::{Frame, Refused},
};

/// A write that makes no progress for so long says that its client is slow.
const STANDS_STILL: Duration = Duration::from_secs(1);

impl Connection {
    /// Sends without waiting. A client for which too much waits is closed.
    pub(crate) fn send(&self, frame: Frame, tag: u64) -> Result<(), Refused> {
        let limit = self.core.options.maximum_send_queue_size;
        let pushed = self.outbox.lock().push(frame, tag, limit);
        match pushed {
            Ok(()) => self.wake_writer(),
            Err(Refused::Full) => self.request_close(CloseReason::SlowClient),
            Err(Refused::Ended) => {}
        }
        pushed
    }

    /// Sends what the connection's own methods produce: waits while the client
    /// has not taken what was sent before. Nothing follows an abort.
    pub(crate) async fn send_in_turn(&self, frame: Frame) -> Result<(), Refused> {
        self.wait_for_space().await;
        if self.is_closing() {
            return Err(Refused::Ended);
        }
        if self.core.options.transport_max_buffer_size == 0 {
            // Nothing made it wait: the bound of all other sends is its bound too.
            return self.send(frame, 0);
        }
        let pushed = self.outbox.lock().push(frame, 0, usize::MAX);
        self.wake_writer();
        pushed
    }

    /// Waits until the client has taken most of what was sent before.
    pub(crate) async fn wait_for_space(&self) {
        std::future::poll_fn(|cx| self.poll_space(cx)).await;
    }

    /// Whether the client has taken most of what was sent; `waker` is woken
    /// once it has.
    pub(crate) fn has_space(&self, waker: &Waker) -> bool {
        let options = &self.core.options;
        let limit = match options.transport_max_buffer_size {
            0 => usize::MAX,
            limit => limit,
        };
        self.outbox
            .lock()
            .has_space(limit, options.stateful_reconnect_buffer_size, waker)
    }

    fn poll_space(&self, cx: &TaskContext<'_>) -> Poll<()> {
        if self.has_space(cx.waker()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Whether the client is behind with what it was sent. It is closed for that
    /// when it stays so, or when twice as much waits.
    pub(crate) fn is_slow(&self) -> bool {
        let stalled = &self.times.stalled_since;
        let stands = stalled.load(Ordering::Relaxed) > 0;
        (stands && self.core.since(stalled) > STANDS_STILL)
            || self.outbox.lock().waiting_bytes() > self.core.options.maximum_send_queue_size / 2
    }

    fn wake_writer(&self) {
        if self.transport() == Some(TransportKind::WebSockets) {
            self.driver.wake();
        } else {
            self.wake_sink();
        }
    }

    pub(crate) fn wake_driver(&self) {
        self.driver.wake();
    }

    /// Wakes the response that carries messages to the client.
    pub(crate) fn wake_sink(&self) {
        self.sink.wake();
        if let Some(lane) = self.http.get() {
            lane.changed.notify_waiters();
        }
    }

    pub(crate) fn register_driver(&self, cx: &TaskContext<'_>) {
        self.driver.register(cx.waker());
    }

    pub(crate) fn register_sink(&self, cx: &TaskContext<'_>) {
        self.sink.register(cx.waker());
    }
}
