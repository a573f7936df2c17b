//! The one task of a connection: it reads, runs, writes and ends it.
//!
//! A hand-written poll instead of a handful of tasks and channels: an idle
//! connection costs this state and nothing else.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{
    Connection, Stage,
    handshake::{self, Shaken},
    link::{Link, Socket},
    session::Session,
};
use crate::{
    ConnectionId, TransportKind,
    close::CloseReason,
    hub::{Context, DisconnectReason, HubError, ReceiptSource, filter},
    outbox::Frame,
    protocol::handshake::HandshakeError,
    server::Core,
    websocket::{Event, Violation, close_code},
};

/// Turns of the loop before other connections get theirs.
const TURNS: usize = 64;

/// Runs a connection from its first transport to its end. `socket` is that of
/// a WebSocket; the HTTP transports feed the connection from their requests.
pub(crate) async fn drive(connection: Arc<Connection>, socket: Option<Socket>) {
    let mut driver = Box::new(Driver {
        connection: Arc::clone(&connection),
        link: socket.map(|socket| Box::new(Link::new(socket))),
        phase: Phase::Handshake(Vec::new()),
        ended: None,
        leaving: None,
        connected: false,
    });
    let reason = std::future::poll_fn(|cx| {
        // Whatever hub code does, the connection must leave the registry.
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| driver.poll(cx)));
        polled.unwrap_or_else(|_| {
            tracing::error!("hub code panicked outside of a method");
            Poll::Ready(CloseReason::HubPanicked)
        })
    })
    .await;
    connection.outbox().end();
    let connected = driver.connected;
    drop(driver);
    let core = Arc::clone(connection.core());
    core.registry.remove(&connection);
    // A long-polling client fetches the end with its next poll, if it still polls.
    let polls = connection.transport() == Some(TransportKind::LongPolling);
    if !polls || matches!(reason, CloseReason::TransportLost) {
        core.registry.forget(&connection);
    }
    tell_elsewhere(&core, connection.id());
    tracing::debug!(connection.id = %connection.id(), reason = reason.name(), detail = reason.detail(), "connection ended");
    if connected {
        let context = Context::new(Arc::clone(&connection), None);
        let reason = disconnect_reason(reason);
        let hub = core
            .hub
            .clone()
            .disconnected(context.clone(), reason.clone());
        let told = filter::disconnected(&core.filters, &context, &reason, hub);
        match AssertUnwindSafe(told).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "a hub filter failed around a disconnect"),
            Err(_) => tracing::error!("hub code panicked around a disconnect"),
        }
    }
    core.registry.left(connection.id());
    connection.items().clear();
    connection.enter(Stage::Ended);
    connection.end_inbound();
}

/// Nobody waits any longer for answers of a client that is gone.
fn tell_elsewhere(core: &Core, id: ConnectionId) {
    for (invocation_id, to) in core.client_results.disconnect(id) {
        let mut frame = Vec::new();
        let error = Some("Connection disconnected.");
        to.protocol.write_end(&mut frame, &invocation_id, error);
        if let Some(relay) = &core.relay {
            relay.complete(to.to, to.protocol, frame.into());
        }
    }
}

enum Phase {
    /// Bytes of an unfinished handshake.
    Handshake(Vec<u8>),
    /// The hub is told of the connection; messages wait.
    Connecting(Box<Session>, BoxFuture<'static, Result<(), HubError>>),
    Running(Box<Session>),
    /// The end was decided: what waits is written, then the transport closes.
    Ending,
}

struct Driver {
    connection: Arc<Connection>,
    /// The socket; none for the HTTP transports and while a stateful
    /// connection is broken.
    link: Option<Box<Link>>,
    phase: Phase,
    ended: Option<CloseReason>,
    /// The client is gone, but hub code that comes before its end is not done.
    leaving: Option<CloseReason>,
    /// `on_connected` succeeded, so `on_disconnected` is due.
    connected: bool,
}

impl Driver {
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<CloseReason> {
        self.connection.register_driver(cx);
        for _ in 0..TURNS {
            let mut progress = false;
            if let Some(socket) = self.connection.take_reattached() {
                self.reattach(*socket);
                progress = true;
            }
            if let Some(reason) = self.connection.take_close_request() {
                self.end(reason);
                progress = true;
            }
            match self.poll_phase(cx) {
                Ok(true) => progress = true,
                Ok(false) => {}
                Err(reason) => {
                    self.end(reason);
                    progress = true;
                }
            }
            progress |= self.take_leave();
            progress |= self.poll_input(cx);
            progress |= self.poll_output(cx);
            progress |= self.part(cx);
            if self.is_finished(cx) {
                let reason = self.ended.take().expect("the end has a reason");
                return Poll::Ready(reason);
            }
            if !progress {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Runs hub code; true when something moved.
    fn poll_phase(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, CloseReason> {
        match &mut self.phase {
            Phase::Connecting(_, connecting) => match connecting.poll_unpin(cx) {
                Poll::Ready(Ok(())) => {
                    self.connected = true;
                    self.connection.set_connected();
                    let phase = std::mem::replace(&mut self.phase, Phase::Ending);
                    let Phase::Connecting(mut session, _) = phase else {
                        unreachable!("matched above")
                    };
                    let resumed = session.resume(cx);
                    self.phase = Phase::Running(session);
                    resumed.map(|()| true)
                }
                Poll::Ready(Err(error)) => Err(CloseReason::ConnectRefused(error)),
                Poll::Pending => Ok(false),
            },
            Phase::Running(session) => {
                let ended = session.poll_running(cx)?;
                // Also after a wake by an upload's reader, which is no call's end.
                if session.is_blocked() {
                    let waiting = session.waiting();
                    session.resume(cx)?;
                    return Ok(ended || session.waiting() < waiting);
                }
                Ok(ended)
            }
            Phase::Handshake(_) | Phase::Ending => Ok(false),
        }
    }

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

    fn poll_input(&mut self, cx: &mut TaskContext<'_>) -> bool {
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

    fn poll_output(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let Some(link) = &mut self.link else {
            return false;
        };
        if let Some((pong, tag)) = link.late_pong() {
            let _ = self.connection.outbox().push(pong, tag, usize::MAX);
        }
        if let Some(ping) = link.wanted_ping() {
            let _ = self.connection.outbox().push(ping, 0, usize::MAX);
        }
        self.connection.outbox().take(&mut link.writing);
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
                self.connection.outbox().written(written);
                true
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

    /// Decides the end: tells the client what it is to be told.
    fn end(&mut self, reason: CloseReason) {
        if matches!(self.phase, Phase::Ending) {
            return;
        }
        let in_handshake = matches!(self.phase, Phase::Handshake(_));
        let waits = match &self.phase {
            // It is run to its end, and `on_disconnected` follows it.
            Phase::Connecting(..) => !matches!(reason, CloseReason::ConnectRefused(_)),
            // What the client said before it left in good order is still done,
            // as ASP.NET Core reads its pipe to the end.
            Phase::Running(session) => {
                session.is_blocked()
                    && self.leaving.is_none()
                    && matches!(
                        reason,
                        CloseReason::ClientClosed { .. } | CloseReason::Deleted
                    )
            }
            Phase::Handshake(_) | Phase::Ending => false,
        };
        self.tell_end(&reason, in_handshake);
        if waits {
            self.leaving.get_or_insert(reason);
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Ending) {
            Phase::Connecting(mut session, _) | Phase::Running(mut session) => session.end(),
            Phase::Handshake(_) | Phase::Ending => {}
        }
        let connection = &self.connection;
        connection.enter(Stage::Ending);
        connection.wake_sink();
        self.ended = Some(reason);
    }

    /// Tells the client that and why it ends. Nothing is sent behind that.
    fn tell_end(&self, reason: &CloseReason, in_handshake: bool) {
        let connection = &self.connection;
        let core = connection.core();
        let told_by_frame = self.link.as_ref().is_some_and(|link| link.peer_closed);
        if in_handshake && matches!(reason, CloseReason::HandshakeTimeout) {
            handshake::refuse(connection, &HandshakeError::Canceled);
        }
        if let Some(message) = reason.message(core.options.enable_detailed_errors)
            && let Some(protocol) = connection.protocol()
            && !told_by_frame
        {
            let frame = Frame::uncounted(protocol, |out| {
                protocol.write_close(out, message.error.as_deref(), message.allow_reconnect);
            });
            let _ = connection.outbox().push(frame, 0, usize::MAX);
        }
        if connection.transport() == Some(TransportKind::WebSockets) {
            let code = match reason {
                CloseReason::Violation { code, .. } => *code,
                _ => close_code::NORMAL,
            };
            let _ = connection.outbox().push(Frame::close(code), 0, usize::MAX);
        }
        if matches!(reason, CloseReason::SlowClient) && self.link.is_none() {
            // Its stream stands still: nothing of it is kept for that.
            connection.outbox().detach();
        }
        connection.outbox().end();
    }

    /// Ends at last, once nothing waits of what came before the client left.
    fn take_leave(&mut self) -> bool {
        let waits = match &self.phase {
            Phase::Connecting(..) => true,
            Phase::Running(session) => session.is_blocked(),
            Phase::Handshake(_) | Phase::Ending => false,
        };
        if waits {
            return false;
        }
        let Some(reason) = self.leaving.take() else {
            return false;
        };
        self.end(reason);
        true
    }

    /// Lets a client's socket go that has left while hub code is still run.
    fn part(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let Some(link) = self.link.as_mut().filter(|_| self.leaving.is_some()) else {
            return false;
        };
        let written = link.writing.is_empty() && self.connection.outbox().is_empty();
        if !(written && link.peer_closed) || link.poll_shutdown(cx).is_pending() {
            return false;
        }
        self.link = None;
        true
    }

    /// Whether nothing is left to do on the transport.
    fn is_finished(&mut self, cx: &mut TaskContext<'_>) -> bool {
        if !matches!(self.phase, Phase::Ending) {
            return false;
        }
        let Some(link) = &mut self.link else {
            return true;
        };
        let waited = self
            .connection
            .core()
            .since(&self.connection.times.stage_since);
        let overdue = waited >= self.connection.core().options.web_socket_close_timeout;
        let written = link.writing.is_empty() && self.connection.outbox().is_empty();
        if written && link.peer_closed {
            return overdue || !matches!(link.poll_shutdown(cx), Poll::Pending);
        }
        overdue
            || matches!(self.ended, Some(CloseReason::SlowClient))
                && waited >= Duration::from_secs(1)
    }

    /// The client closed the WebSocket in good order.
    fn peer_left(&self) -> CloseReason {
        match &self.phase {
            Phase::Running(session) if session.has_partial_message() && !session.is_blocked() => {
                CloseReason::Protocol {
                    exception: "InvalidDataException",
                    message: "Connection terminated while reading a message.".to_owned(),
                }
            }
            _ => CloseReason::ClientClosed { error: None },
        }
    }

    /// The socket broke: a stateful connection waits for the next one.
    fn lose_link(&mut self) {
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

    fn reattach(&mut self, socket: Socket) {
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

/// What ASP.NET Core hands to `OnDisconnectedAsync` for each end.
fn disconnect_reason(reason: CloseReason) -> DisconnectReason {
    let error = |exception, message: String| DisconnectReason::Error { exception, message };
    match reason {
        CloseReason::ClientClosed {
            error: Some(message),
        } => error("HubException", message),
        CloseReason::Protocol { exception, message } => error(exception, message),
        CloseReason::ClientTimeout => error(
            "OperationCanceledException",
            "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."
                .to_owned(),
        ),
        CloseReason::SlowClient => error(
            "TimeoutException",
            "The client reads too slowly.".to_owned(),
        ),
        CloseReason::Unwritable(cause) => error(cause.exception(), cause.to_string()),
        _ => DisconnectReason::Graceful,
    }
}
