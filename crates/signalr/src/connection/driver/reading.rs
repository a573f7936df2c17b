//! Reading: the client's bytes, as far as the connection wants more of them.

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context as TaskContext, Poll},
};

use futures_util::FutureExt as _;

use super::{Driver, Phase};
use crate::{
    TransportKind,
    close::CloseReason,
    connection::{
        handshake::{self, Shaken},
        session::Session,
    },
    hub::{Context, ReceiptSource, filter},
    websocket::{Decoder, Event, Violation},
};

impl Driver {
    /// Whether more bytes are wanted from the client.
    fn wants_input(&self) -> bool {
        let options = &self.connection.core().options;
        let limit = match options.application_max_buffer_size {
            0 => usize::MAX,
            limit => limit,
        };
        match &self.phase {
            Phase::Handshake(_) | Phase::Ending => true,
            Phase::Connecting(session, _) => session.waiting() < limit,
            Phase::Running(session) => {
                // The Ack that would go on with what is blocked may come behind
                // all that the client has sent meanwhile: a stateful client
                // keeps what is not acknowledged, so that this is bounded, too.
                let limit = match session.is_stateful() {
                    true => limit.max(options.maximum_send_queue_size),
                    false => limit,
                };
                !session.is_blocked() || session.waiting() < limit
            }
        }
    }

    pub(super) fn poll_input(&mut self, cx: &mut TaskContext<'_>) -> bool {
        if !self.wants_input() {
            return false;
        }
        match self.connection.transport() {
            Some(TransportKind::WebSockets) => self.poll_link(cx),
            _ => self.poll_lane(cx),
        }
    }

    /// Takes what POSTs brought.
    fn poll_lane(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let bytes = self.connection.take_received();
        if bytes.is_empty() {
            return false;
        }
        self.connection.heard();
        if !matches!(self.phase, Phase::Ending) {
            self.confirm_by_message();
        }
        if let Err(reason) = self.take_bytes(&bytes, cx) {
            self.end(reason);
        }
        true
    }

    /// Takes what the WebSocket brought.
    fn poll_link(&mut self, cx: &mut TaskContext<'_>) -> bool {
        // The socket's future may be polled again inside `take`: its own
        // context is the same.
        let waker = cx.waker();
        let Some(mut link) = self.link.take_if(|link| !link.peer_closed) else {
            return false;
        };
        let awaited = link.awaited_pong();
        let read = link.poll_read(cx, |decoder, bytes| {
            let mut inner = TaskContext::from_waker(waker);
            self.take_frames((decoder, bytes), awaited, &mut inner)
        });
        let taken = match read {
            Poll::Pending => {
                self.link = Some(link);
                return false;
            }
            Poll::Ready(Ok(Some(taken))) => taken,
            Poll::Ready(Ok(None) | Err(_)) => {
                self.lose_link();
                return true;
            }
        };
        self.connection.heard();
        for payload in taken.pings {
            if let Some((pong, tag)) = link.pinged(payload) {
                let _ = self.connection.outbox().push(pong, tag, usize::MAX);
            }
        }
        if taken.pong {
            self.connection.receipt(link.pong(), ReceiptSource::Pong);
        }
        self.link = Some(link);
        // What a message said comes before the frames behind it: the end that
        // it brings is told as if they had not come yet.
        if let Some(reason) = taken.end {
            self.end(reason);
        }
        // After a close frame or a breach, nothing that follows is read.
        if let (Some(closed), Some(link)) = (taken.closed, &mut self.link) {
            link.peer_closed = true;
            self.end(match closed {
                Closed::InOrder => self.peer_left(),
                Closed::By(Violation { code, reason }) => CloseReason::Violation { code, reason },
            });
        }
        true
    }

    /// Takes all frames of a read. Once a message ends the connection, what
    /// comes behind it is read like the rest of a connection that ends.
    fn take_frames(
        &mut self,
        (decoder, bytes): (&mut Decoder, &mut [u8]),
        awaited: Option<[u8; 8]>,
        cx: &mut TaskContext<'_>,
    ) -> Taken {
        let mut taken = Taken::default();
        let mut at = 0;
        while at < bytes.len() {
            let (length, event) = match decoder.next(&mut bytes[at..]) {
                Ok(next) => next,
                Err(violation) => {
                    taken.closed = Some(Closed::By(violation));
                    break;
                }
            };
            at += length;
            match event {
                Some(Event::Close) => {
                    taken.closed = Some(Closed::InOrder);
                    break;
                }
                Some(Event::Pong(payload)) => {
                    taken.pong |= awaited.is_some_and(|awaited| payload == awaited);
                }
                _ if taken.end.is_some() => {}
                None | Some(Event::Data { piece: [], .. }) => {}
                Some(Event::Data { piece, .. }) => taken.end = self.take_bytes(piece, cx).err(),
                Some(Event::Ping(payload)) => taken.ping(payload),
            }
        }
        taken
    }

    /// Bytes of hub messages, whatever the transport.
    fn take_bytes(&mut self, bytes: &[u8], cx: &mut TaskContext<'_>) -> Result<(), CloseReason> {
        match &mut self.phase {
            Phase::Handshake(kept) => {
                kept.extend_from_slice(bytes);
                let kept = std::mem::take(kept);
                self.take_handshake(kept)
            }
            Phase::Connecting(session, _) => {
                session.keep(bytes);
                Ok(())
            }
            Phase::Running(session) => session.feed(bytes, cx),
            Phase::Ending => Ok(()),
        }
    }

    fn take_handshake(&mut self, bytes: Vec<u8>) -> Result<(), CloseReason> {
        match handshake::shake(&self.connection, &bytes) {
            Shaken::Incomplete => {
                self.phase = Phase::Handshake(bytes);
                Ok(())
            }
            Shaken::Refused => Err(CloseReason::Handshake),
            Shaken::Accepted {
                consumed,
                protocol,
                stateful,
            } => {
                let mut session = Session::new(Arc::clone(&self.connection), protocol, stateful);
                session.keep(&bytes[consumed..]);
                let core = Arc::clone(self.connection.core());
                core.registry.insert(&self.connection);
                let context = Context::connecting(Arc::clone(&self.connection));
                let connecting = async move {
                    if let Some(relay) = &core.relay {
                        // Then nothing that other nodes send is missed.
                        relay.settled().await;
                    }
                    let hub = core.hub.clone().connected(context.clone());
                    filter::connected(&core.filters, &context, hub).await
                };
                self.phase = Phase::Connecting(Box::new(session), connecting.boxed());
                Ok(())
            }
        }
    }

    /// Over Server-Sent Events, a message of the client shows that what was
    /// sent before has arrived.
    fn confirm_by_message(&self) {
        if self.connection.transport() == Some(TransportKind::ServerSentEvents) {
            let tag = self.connection.http().unconfirmed.swap(0, Ordering::AcqRel);
            self.connection.receipt(tag, ReceiptSource::Message);
        }
    }
}

/// What came of one read.
#[derive(Default)]
struct Taken {
    pings: Vec<Vec<u8>>,
    /// The awaited Pong.
    pong: bool,
    /// A message ended the connection.
    end: Option<CloseReason>,
    /// The client sends nothing more that would be read.
    closed: Option<Closed>,
}

impl Taken {
    /// A read holds thousands of Pings at the most; all but some are repeats
    /// that need no answer of their own.
    fn ping(&mut self, payload: &[u8]) {
        if self.pings.len() > 32 {
            self.pings.pop();
        }
        self.pings.push(payload.to_vec());
    }
}

enum Closed {
    /// Its close frame came.
    InOrder,
    /// It broke the rules of WebSockets.
    By(Violation),
}
