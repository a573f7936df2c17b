//! One connection: what is shared about it, and the one task that runs it.
//!
//! `Connection` is what hub code, the heartbeat and HTTP requests hold.
//! `driver` is the connection's task: it moves bytes and ends the connection.
//! `session` understands the bytes: handshake, dispatch, streams. `link` is
//! the socket of a WebSocket connection, `http_lane` what the HTTP transports
//! have instead of one, `polled` what polls confirm; `sending` is how everybody else reaches the client.

mod http_lane;
mod polled;
mod link;
mod sending;
mod session;
mod stateful;
mod call;
mod handshake;
mod driver;
mod observed;

use std::{
    any::{Any, TypeId},
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
};

use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};

use crate::{
    ConnectionId, Principal, TransportKind, close::CloseReason, connection_token::ConnectionToken,
    hub::ReceiptSource, outbox::Outbox, protocol::HubProtocol, server::Core,
};

pub(crate) use driver::drive;
use http_lane::HttpLane;
pub(crate) use link::Socket;

/// In place of a transport: the connection ended before one attached.
const EXPIRED: u8 = u8::MAX;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Negotiated; no transport has attached.
    New,
    /// Attached; the handshake is awaited.
    Handshake,
    /// In use.
    Running,
    /// The end was decided; what waits is still written.
    Ending,
    /// Over.
    Ended,
}

type Items = Vec<(TypeId, Arc<dyn Any + Send + Sync>)>;

/// What everybody but the connection's own task sees of it.
pub(crate) struct Connection {
    id: ConnectionId,
    token: ConnectionToken,
    core: Arc<Core>,
    /// What was negotiated.
    pub(crate) negotiated: Negotiated,
    stage: AtomicU8,
    transport: AtomicU8,
    protocol: AtomicU8,
    principal: Mutex<Option<Arc<Principal>>>,
    user_id: OnceLock<Option<Arc<str>>>,
    outbox: Mutex<Outbox>,
    driver: AtomicWaker,
    sink: AtomicWaker,
    close: Mutex<Option<CloseReason>>,
    closing: AtomicBool,
    reading_waits: AtomicBool,
    /// The hub's `on_connected` is done.
    connected: AtomicBool,
    groups: Mutex<Vec<Arc<str>>>,
    items: Mutex<Items>,
    /// A WebSocket that takes up this (stateful) connection.
    reattached: Mutex<Option<Box<Socket>>>,
    http: OnceLock<Box<HttpLane>>,
    pub(crate) times: Times,
}

/// What the client asked for in negotiate.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Negotiated {
    pub(crate) stateful: bool,
    /// Dart decodes polls as Latin-1 unless they say UTF-8.
    pub(crate) flutter: bool,
}

/// Milliseconds since the hub started, by which the heartbeat judges.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// When the present stage began.
    pub(crate) stage_since: AtomicU64,
    pub(crate) last_ping_sent: AtomicU64,
    /// When the last message came; 0 until the client's first Ping.
    pub(crate) last_received: AtomicU64,
    /// When any byte came.
    pub(crate) last_heard: AtomicU64,
    /// Since when a write makes no progress; 0 while none does.
    pub(crate) stalled_since: AtomicU64,
    /// Since when there is no transport (long polling between polls, a broken
    /// stateful connection); 0 while there is one.
    pub(crate) detached_since: AtomicU64,
    /// Highest inbound id that was processed, and that was acknowledged.
    pub(crate) processed_id: AtomicU64,
    pub(crate) acknowledged_id: AtomicU64,
}

impl Connection {
    pub(crate) fn new(
        core: Arc<Core>,
        id: ConnectionId,
        token: ConnectionToken,
        negotiated: Negotiated,
    ) -> Arc<Self> {
        let connection = Arc::new(Self {
            id,
            token,
            core,
            negotiated,
            stage: AtomicU8::new(Stage::New as u8),
            transport: AtomicU8::new(0),
            protocol: AtomicU8::new(0),
            principal: Mutex::default(),
            user_id: OnceLock::new(),
            outbox: Mutex::default(),
            driver: AtomicWaker::new(),
            sink: AtomicWaker::new(),
            close: Mutex::default(),
            closing: AtomicBool::new(false),
            reading_waits: AtomicBool::new(false),
            connected: AtomicBool::new(false),
            groups: Mutex::default(),
            items: Mutex::default(),
            reattached: Mutex::default(),
            http: OnceLock::new(),
            times: Times::default(),
        });
        connection.enter(Stage::New);
        connection
    }

    pub(crate) fn id(&self) -> ConnectionId {
        self.id
    }

    pub(crate) fn token(&self) -> ConnectionToken {
        self.token
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::New,
            1 => Stage::Handshake,
            2 => Stage::Running,
            3 => Stage::Ending,
            _ => Stage::Ended,
        }
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.times
            .stage_since
            .store(self.core.now(), Ordering::Relaxed);
        self.stage.store(stage as u8, Ordering::Release);
    }

    pub(crate) fn transport(&self) -> Option<TransportKind> {
        match self.transport.load(Ordering::Acquire) {
            1 => Some(TransportKind::WebSockets),
            2 => Some(TransportKind::ServerSentEvents),
            3 => Some(TransportKind::LongPolling),
            _ => None,
        }
    }

    /// Fixes the transport; false when one attached before.
    pub(crate) fn fix_transport(&self, kind: TransportKind) -> bool {
        let fixed =
            self.transport
                .compare_exchange(0, kind as u8, Ordering::AcqRel, Ordering::Acquire);
        if fixed.is_ok() {
            self.heard();
            self.enter(Stage::Handshake);
        }
        fixed.is_ok()
    }

    /// Nothing attached in time: false when something just did.
    pub(crate) fn expire(&self) -> bool {
        let expired =
            self.transport
                .compare_exchange(0, EXPIRED, Ordering::AcqRel, Ordering::Acquire);
        if expired.is_ok() {
            self.enter(Stage::Ended);
            self.end_inbound();
        }
        expired.is_ok()
    }

    pub(crate) fn protocol(&self) -> Option<HubProtocol> {
        match self.protocol.load(Ordering::Acquire) {
            1 => Some(HubProtocol::Json),
            2 => Some(HubProtocol::MessagePack),
            _ => None,
        }
    }

    pub(crate) fn principal(&self) -> Option<Arc<Principal>> {
        self.principal.lock().clone()
    }

    pub(crate) fn set_principal(&self, principal: Option<Arc<Principal>>) {
        *self.principal.lock() = principal;
    }

    /// A later request of the connection brings fresh authentication: it is
    /// taken where it is the same user's, and any other changes nothing.
    pub(crate) fn renew_principal(&self, fresh: Option<Arc<Principal>>) {
        let mut principal = self.principal.lock();
        let user_of = |each: &Option<Arc<Principal>>| {
            let user = each.as_ref().and_then(|each| each.user_id());
            user.cloned()
        };
        if user_of(&fresh) == user_of(&principal) {
            *principal = fresh;
        }
    }

    pub(crate) fn user_id(&self) -> Option<&Arc<str>> {
        self.user_id.get()?.as_ref()
    }

    /// The handshake is done: protocol and user stay as they are from here on.
    pub(crate) fn shake_hands(&self, protocol: HubProtocol, stateful: bool) {
        let user_id = self
            .principal
            .lock()
            .as_ref()
            .and_then(|each| each.user_id().cloned());
        self.user_id.set(user_id).expect("there is one handshake");
        if stateful {
            self.outbox.lock().keep_unacknowledged();
        }
        let number = match protocol {
            HubProtocol::Json => 1,
            HubProtocol::MessagePack => 2,
        };
        self.protocol.store(number, Ordering::Release);
        self.times
            .last_ping_sent
            .store(self.core.now(), Ordering::Relaxed);
        self.enter(Stage::Running);
    }

    /// The client's messages are read from here on.
    pub(crate) fn set_connected(&self) {
        self.connected.store(true, Ordering::Release);
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    pub(crate) fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock()
    }

    pub(crate) fn groups(&self) -> MutexGuard<'_, Vec<Arc<str>>> {
        self.groups.lock()
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock()
    }

    /// Tells the hub that everything up to `tag` arrived.
    pub(crate) fn receipt(self: &Arc<Self>, tag: u64, source: ReceiptSource) {
        if tag > 0 && self.stage() >= Stage::Running {
            let context = crate::Context::new(Arc::clone(self), None);
            self.core.hub.receipt(&context, tag, source);
        }
    }

    /// Asks the connection's task to end it; the first reason counts.
    pub(crate) fn request_close(&self, reason: CloseReason) {
        if self.closing.swap(true, Ordering::AcqRel) {
            return;
        }
        *self.close.lock() = Some(reason);
        if self.expire() {
            // No task runs it yet, and none ever will.
            self.core.registry.forget(self);
        }
        self.driver.wake();
    }

    /// While messages wait for their turn, the client's pings wait behind them:
    /// its timeout starts anew when reading goes on (as ASP.NET Core's does).
    pub(crate) fn reading_waits(&self, waits: bool) {
        self.reading_waits.store(waits, Ordering::Relaxed);
        let last = &self.times.last_received;
        if !waits && last.load(Ordering::Relaxed) > 0 {
            last.store(self.core.now().max(1), Ordering::Relaxed);
        }
    }

    pub(crate) fn is_reading(&self) -> bool {
        !self.reading_waits.load(Ordering::Relaxed)
    }

    /// Something came from the client.
    pub(crate) fn heard(&self) {
        self.times
            .last_heard
            .store(self.core.now(), Ordering::Relaxed);
    }

    pub(crate) fn take_close_request(&self) -> Option<CloseReason> {
        if !self.closing.load(Ordering::Acquire) {
            return None;
        }
        self.close.lock().take()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether a broken socket may be replaced.
    pub(crate) fn can_reattach(&self) -> bool {
        // Before the handshake nobody knows whether its version allows it.
        self.negotiated.stateful
            && !self.is_closing()
            && (self.protocol().is_none() || self.outbox.lock().is_stateful())
    }

    /// Hands a new socket to the connection's task.
    pub(crate) fn reattach(&self, socket: Socket) {
        *self.reattached.lock() = Some(Box::new(socket));
        self.driver.wake();
    }

    pub(crate) fn take_reattached(&self) -> Option<Box<Socket>> {
        if !self.negotiated.stateful {
            return None;
        }
        self.reattached.lock().take()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("stage", &self.stage())
            .field("transport", &self.transport())
            .finish_non_exhaustive()
    }
}
