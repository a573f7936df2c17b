//! What Server-Sent Events and long polling have in place of a socket: bytes
//! that POSTs bring, and what a poll or an event stream takes away.

use std::{collections::VecDeque, sync::atomic::AtomicU64, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Connection, Stage, polled::Polled};
use crate::outbox::Queued;

/// What Server-Sent Events and long polling need beside the shared part.
#[derive(Debug, Default)]
pub(crate) struct HttpLane {
    inbound: Mutex<Inbound>,
    /// Room in `inbound`, something in the outbox, or a newer poll.
    pub(super) changed: Notify,
    /// POSTs of one connection are taken one after another.
    pub(crate) post: tokio::sync::Mutex<()>,
    /// Which poll is the current one.
    pub(crate) poll: AtomicU64,
    /// Over Server-Sent Events: the highest tag given to the client and not
    /// yet known to have arrived.
    pub(crate) unconfirmed: AtomicU64,
    /// The same over long polling.
    pub(super) polled: Mutex<Polled>,
}

#[derive(Debug, Default)]
struct Inbound {
    bytes: Vec<u8>,
    ended: bool,
}

impl Connection {
    pub(crate) fn http(&self) -> &HttpLane {
        self.http.get_or_init(Box::default)
    }

    /// Appends bytes of a POST; waits while too much is unread. False when the
    /// connection is over.
    pub(crate) async fn receive(&self, bytes: &Bytes) -> bool {
        let lane = self.http();
        let limit = self.core.options.application_max_buffer_size;
        loop {
            let changed = lane.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut inbound = lane.inbound.lock();
                if inbound.ended || self.stage() >= Stage::Ending {
                    return false;
                }
                if inbound.bytes.is_empty()
                    || limit == 0
                    || inbound.bytes.len() + bytes.len() <= limit
                {
                    inbound.bytes.extend_from_slice(bytes);
                    break;
                }
            }
            changed.await;
        }
        self.driver.wake();
        true
    }

    /// Waits until the connection is about to end.
    pub(crate) async fn until_ending(&self) {
        let lane = self.http();
        loop {
            let changed = lane.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.stage() >= Stage::Ending {
                return;
            }
            changed.await;
        }
    }

    /// What was received since the last call; wakes POSTs that wait for room.
    pub(crate) fn take_received(&self) -> Vec<u8> {
        let Some(lane) = self.http.get() else {
            return Vec::new();
        };
        let bytes = std::mem::take(&mut lane.inbound.lock().bytes);
        if !bytes.is_empty() {
            lane.changed.notify_waiters();
        }
        bytes
    }

    /// No POST is taken any more.
    pub(crate) fn end_inbound(&self) {
        if let Some(lane) = self.http.get() {
            lane.inbound.lock().ended = true;
            lane.changed.notify_waiters();
        }
        self.wake_sink();
    }

    /// Waits until something may have changed for a poll; `ready` is asked
    /// again after each change.
    pub(crate) async fn poll_until<T>(
        &self,
        timeout: Duration,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let lane = self.http();
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            let changed = lane.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(value) = ready() {
                return Some(value);
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return ready();
            }
        }
    }

    /// Takes all that waits for the client, as one body, for an HTTP transport.
    pub(crate) fn take_outgoing(&self) -> Vec<Queued> {
        let mut taken = VecDeque::new();
        let mut outbox = self.outbox.lock();
        outbox.take(&mut taken);
        let bytes = taken.iter().map(|each| each.frame.len()).sum();
        outbox.written(bytes);
        drop(outbox);
        self.tell_sent(taken.len(), bytes);
        taken.into()
    }
}
