//! Writing what waits, and the socket that breaks or is replaced meanwhile.

use std::{
    sync::atomic::Ordering,
    task::{Context as TaskContext, Poll},
};

use super::{Driver, Phase};
use crate::{
    close::CloseReason,
    connection::link::{Link, Socket},
};

impl Driver {
    pub(super) fn poll_output(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let Some(link) = &mut self.link else {
            return false;
        };
        let mut outbox = self.connection.outbox();
        if let Some((pong, tag)) = link.late_pong() {
            let _ = outbox.push(pong, tag, usize::MAX);
        }
        link.take(&mut outbox);
        // In the same write as what it asks about. Behind the end of a
        // connection comes nothing more (RFC 6455, section 5.5.1).
        if !outbox.has_ended()
            && let Some(ping) = link.wanted_ping()
        {
            let _ = outbox.push(ping, 0, usize::MAX);
            link.take(&mut outbox);
        }
        drop(outbox);
        if link.writing.is_empty() {
            self.connection
                .times
                .stalled_since
                .store(0, Ordering::Relaxed);
        }
        match link.poll_write(cx) {
            Poll::Ready(Ok(0)) => false,
            Poll::Ready(Ok(written)) => {
                self.connection
                    .times
                    .stalled_since
                    .store(0, Ordering::Relaxed);
                let messages = std::mem::take(&mut link.messages);
                let more = link.has_more();
                self.connection.outbox().written(written);
                self.connection.tell_sent(messages, written);
                more
            }
            Poll::Pending => {
                let now = self.connection.core().now().max(1);
                let stalled = &self.connection.times.stalled_since;
                let _ = stalled.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
                false
            }
            Poll::Ready(Err(_)) => {
                self.lose_link();
                true
            }
        }
    }

    /// The socket broke: a stateful connection waits for the next one.
    pub(super) fn lose_link(&mut self) {
        self.link = None;
        if self.leaving.is_some() {
            return;
        }
        let stateful = matches!(
            self.phase,
            Phase::Handshake(_) | Phase::Connecting(..) | Phase::Running(_)
        ) && self.connection.can_reattach();
        if stateful {
            self.connection.outbox().detach();
            let now = self.connection.core().now().max(1);
            self.connection
                .times
                .detached_since
                .store(now, Ordering::Relaxed);
            self.connection
                .times
                .stalled_since
                .store(0, Ordering::Relaxed);
        } else {
            self.end(CloseReason::TransportLost);
        }
    }

    pub(super) fn reattach(&mut self, socket: Socket) {
        if matches!(self.phase, Phase::Ending) {
            return;
        }
        self.link = Some(Box::new(Link::new(socket)));
        let times = &self.connection.times;
        times.detached_since.store(0, Ordering::Relaxed);
        times.last_received.store(0, Ordering::Relaxed);
        // The old socket may have taken an Ack with it: the next tick repeats it.
        times.acknowledged_id.store(0, Ordering::Relaxed);
        match &mut self.phase {
            Phase::Handshake(kept) => kept.clear(),
            Phase::Connecting(session, _) | Phase::Running(session) => session.reattach(),
            Phase::Ending => {}
        }
        let mut outbox = self.connection.outbox();
        outbox.detach();
        outbox.reattach(self.connection.protocol());
    }
}
