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
    websocket::{Event, Violation},
};

impl Driver {
    /// Whether more bytes are wanted from the client.
    fn wants_input(&self) -> bool {
        let limit = match self.connection.core().options.application_max_buffer_size {
            0 => usize::MAX,
            limit => limit,
        };
        match &self.phase {
            Phase::Handshake(_) | Phase::Ending => true,
            Phase::Connecting(session, _) => session.waiting() < limit,
            Phase::Running(session) => !session.is_blocked() || session.waiting() < limit,
        }
    }

    pub(super) fn poll_input(&mut self, cx: &mut TaskContext<'_>) -> bool {
        if !self.wants_input() {
            return false;
        }
        if self.connection.transport() != Some(TransportKind::WebSockets) {
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
            return true;
        }
        let Some(mut link) = self.link.take() else {
            return false;
        };
        if link.peer_closed {
            self.link = Some(link);
            return false;
        }
        // The socket's future may be polled again inside `take`: its own
        // context is the same.
        let waker = cx.waker().clone();
        let read = link.poll_read(cx, |decoder, bytes| {
            let mut inner = TaskContext::from_waker(&waker);
            let mut beats = Beats::default();
            let outcome = self.take_frames(decoder, bytes, &mut beats, &mut inner);
            (outcome, beats)
        });
        let (outcome, beats) = match read {
            Poll::Pending => {
                self.link = Some(link);
                return false;
            }
            Poll::Ready(Ok(Some(taken))) => {
                self.connection.heard();
                taken
            }
            Poll::Ready(Ok(None) | Err(_)) => {
                self.lose_link();
                return true;
            }
        };
        for payload in beats.pings {
            if let Some((pong, tag)) = link.pinged(payload) {
                let _ = self.connection.outbox().push(pong, tag, usize::MAX);
            }
        }
        for payload in beats.pongs {
            let tag = link.pong(&payload);
            self.connection.receipt(tag, ReceiptSource::Pong);
        }
        // After a close frame or a breach, nothing that follows is read.
        link.peer_closed = matches!(outcome, Ok(true) | Err(TakeError::Violation(_)));
        self.link = Some(link);
        match outcome {
            Ok(false) => {}
            Ok(true) => self.end(self.peer_left()),
            Err(TakeError::Violation(Violation { code, reason })) => {
                self.end(CloseReason::Violation { code, reason });
            }
            Err(TakeError::Close(reason)) => self.end(reason),
        }
        true
    }

    /// Takes all frames of a read; true when the client's close frame came.
    fn take_frames(
        &mut self,
        decoder: &mut crate::websocket::Decoder,
        bytes: &mut [u8],
        beats: &mut Beats,
        cx: &mut TaskContext<'_>,
    ) -> Result<bool, TakeError> {
        let mut at = 0;
        while at < bytes.len() {
            let (taken, event) = decoder
                .next(&mut bytes[at..])
                .map_err(TakeError::Violation)?;
            at += taken;
            match event {
                None | Some(Event::Data { piece: [], .. }) => {}
                Some(Event::Data { piece, .. }) => {
                    self.take_bytes(piece, cx).map_err(TakeError::Close)?;
                }
                Some(Event::Ping(payload)) => beats.ping(payload),
                Some(Event::Pong(payload)) => beats.pongs.push(payload.to_vec()),
                Some(Event::Close) => return Ok(true),
            }
        }
        Ok(false)
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

/// The Pings and Pongs of one read.
#[derive(Default)]
struct Beats {
    pings: Vec<Vec<u8>>,
    pongs: Vec<Vec<u8>>,
}

impl Beats {
    /// A read holds thousands of Pings at the most; all but some are repeats
    /// that need no answer of their own.
    fn ping(&mut self, payload: &[u8]) {
        if self.pings.len() > 32 {
            self.pings.pop();
        }
        self.pings.push(payload.to_vec());
    }
}

enum TakeError {
    Violation(Violation),
    Close(CloseReason),
}
