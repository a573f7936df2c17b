//! The one task of a connection: it reads, runs, writes and ends it.
//!
//! A hand-written poll instead of a handful of tasks and channels: an idle
//! connection costs this state and nothing else.

mod ending;
mod leaving;
mod reading;
mod writing;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use futures_util::{FutureExt as _, future::BoxFuture};

use self::leaving::Leaving;
use super::{
    Connection, Stage,
    link::{Link, Socket},
    session::Session,
};
use crate::{
    TransportKind,
    close::CloseReason,
    hub::{Context, HubError, filter},
};

/// Turns of the loop before other connections get theirs.
const TURNS: usize = 64;

/// Runs a connection from its first transport to its end. `socket` is that of
/// a WebSocket; the HTTP transports feed the connection from their requests.
pub(crate) async fn drive(connection: Arc<Connection>, socket: Option<Socket>) {
    let attached = tokio::time::Instant::now();
    let core = Arc::clone(connection.core());
    connection.tell_attached();
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
    // Before the socket closes: a client that sees that and asks for its id
    // again must not find it.
    core.registry.remove(&connection);
    // A long-polling client fetches the end with its next poll, if it still polls.
    let polls = connection.transport() == Some(TransportKind::LongPolling);
    if !polls || matches!(reason, CloseReason::TransportLost) {
        core.registry.forget(&connection);
    }
    let connected = driver.connected;
    drop(driver);
    leaving::tell_askers(&core, connection.id());
    connection.tell_ended(&reason, connected, attached.elapsed());
    tracing::debug!(connection.id = %connection.id(), reason = reason.name(), detail = reason.detail(), "connection ended");
    if connected {
        let context = Context::new(Arc::clone(&connection), None);
        let reason = ending::disconnect_reason(reason);
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
    leaving: Option<Leaving>,
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
                if matches!(reason, CloseReason::Deleted) {
                    // Its last POST came before.
                    self.poll_input(cx);
                }
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
            progress |= self.take_leave(cx);
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
                    self.connection.tell_established();
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
}
