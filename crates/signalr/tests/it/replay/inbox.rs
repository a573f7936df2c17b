//! What one connection has received and nobody has looked at yet. Owns the
//! waiting for it; never reads a socket and never judges.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    received: Mutex<Received>,
    changed: Notify,
}

/// Data without frame or event borders, and the control events beside it.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) data: Vec<u8>,
    /// The opcodes of all data frames so far.
    pub(crate) opcodes: Vec<u8>,
    /// Ping and Pong frames: opcode and payload.
    pub(crate) controls: VecDeque<(u8, Vec<u8>)>,
    /// The server's close frame: code (1005 for none) and reason.
    pub(crate) close: Option<(u16, String)>,
    /// How the byte stream ended: `eof`, `reset`, `complete` or a fault.
    pub(crate) end: Option<String>,
    /// Comment lines of an event stream.
    pub(crate) comments: usize,
}

impl Inbox {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Received> {
        self.received.lock()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Received)) {
        change(&mut self.received.lock());
        self.changed.notify_waiters();
    }

    /// Waits until `look` finds what it wants, and gives `None` at the deadline.
    pub(crate) async fn wait<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut(&mut Received) -> Option<T>,
    ) -> Option<T> {
        loop {
            // Registered before looking, so that no change between is missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = look(&mut self.received.lock()) {
                return Some(found);
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return look(&mut self.received.lock());
            }
        }
    }
}

/// When to give up waiting for something that took `after` in the recording.
pub(crate) fn deadline(after: Option<u64>) -> Instant {
    Instant::now() + Duration::from_millis(after.unwrap_or(0)) + Duration::from_secs(15)
}
