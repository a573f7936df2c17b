//! What an application may watch of a hub: told where it happens, counted
//! elsewhere. This crate keeps no metrics and knows no library for them.

use std::{sync::Arc, time::Duration};

use crate::{
    TransportKind,
    close::CloseReason,
    protocol::{Headers, HubProtocol},
};

/// Hears what happens to a hub's connections, for metrics and traces: set by
/// [`HubBuilder::observer`](crate::HubBuilder::observer).
///
/// It is called on the tasks of connections, on the way of every message: it
/// must not block, and should do no more than add to a counter that it already
/// has at hand. Without an observer nothing of it costs anything.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicI64, AtomicU64, Ordering}};
/// use signalr::{ConnectionEnd, Hub, HubObserver, HubServer, TransportKind, protocol::HubProtocol};
///
/// #[derive(Default)]
/// struct Figures {
///     open: AtomicI64,
///     sent_bytes: AtomicU64,
/// }
///
/// impl HubObserver for Figures {
///     fn attached(&self, _: TransportKind) {
///         self.open.fetch_add(1, Ordering::Relaxed);
///     }
///
///     fn ended(&self, _: &ConnectionEnd) {
///         self.open.fetch_sub(1, Ordering::Relaxed);
///     }
///
///     fn sent(&self, _: TransportKind, _messages: usize, bytes: usize) {
///         self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
///     }
/// }
///
/// struct Chat;
/// impl Hub for Chat {}
///
/// # let runtime = tokio::runtime::Runtime::new().unwrap();
/// # let _guard = runtime.enter();
/// let figures = Arc::new(Figures::default());
/// let chat = HubServer::builder(Chat).observer(Arc::clone(&figures)).build()?;
/// # drop(chat);
/// # Ok::<(), signalr::BuildError>(())
/// ```
pub trait HubObserver: Send + Sync + 'static {
    /// A transport was chosen: from here on the connection counts as one, as
    /// in ASP.NET Core's `signalr.server.active_connections`.
    fn attached(&self, transport: TransportKind) {
        let _ = transport;
    }

    /// The handshake is done and the hub took the connection.
    fn established(&self, transport: TransportKind, protocol: HubProtocol) {
        let _ = (transport, protocol);
    }

    /// An attached connection is over.
    fn ended(&self, end: &ConnectionEnd) {
        let _ = end;
    }

    /// Hub messages of a client were dealt with.
    fn received(&self, transport: TransportKind, messages: usize, bytes: usize) {
        let _ = (transport, messages, bytes);
    }

    /// Hub messages were written to a client, or given to its poll or event stream.
    fn sent(&self, transport: TransportKind, messages: usize, bytes: usize) {
        let _ = (transport, messages, bytes);
    }

    /// A method returned, or a client's call was refused.
    fn invoked(&self, invocation: &ObservedInvocation<'_>) {
        let _ = invocation;
    }

    /// The span that a call runs in; one that is disabled costs the call
    /// nothing. `headers` are those of the client's message, among which
    /// clients send the W3C `traceparent` of their side.
    fn span(&self, method: &str, headers: &Headers<'_>) -> tracing::Span {
        let _ = (method, headers);
        tracing::Span::none()
    }
}

impl<O: HubObserver> HubObserver for Arc<O> {
    fn attached(&self, transport: TransportKind) {
        (**self).attached(transport);
    }

    fn established(&self, transport: TransportKind, protocol: HubProtocol) {
        (**self).established(transport, protocol);
    }

    fn ended(&self, end: &ConnectionEnd) {
        (**self).ended(end);
    }

    fn received(&self, transport: TransportKind, messages: usize, bytes: usize) {
        (**self).received(transport, messages, bytes);
    }

    fn sent(&self, transport: TransportKind, messages: usize, bytes: usize) {
        (**self).sent(transport, messages, bytes);
    }

    fn invoked(&self, invocation: &ObservedInvocation<'_>) {
        (**self).invoked(invocation);
    }

    fn span(&self, method: &str, headers: &Headers<'_>) -> tracing::Span {
        (**self).span(method, headers)
    }
}

/// How an attached connection ended.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionEnd {
    /// Its transport.
    pub transport: TransportKind,
    /// Its protocol; `None` for one that was never
    /// [established](HubObserver::established).
    pub protocol: Option<HubProtocol>,
    /// Why it ended: one of [`ConnectionEnd::REASONS`].
    pub reason: &'static str,
    /// The same as ASP.NET Core's metrics tell it.
    pub status: EndStatus,
    /// For how long it was attached.
    pub lived: Duration,
}

impl ConnectionEnd {
    /// All reasons for which connections end.
    pub const REASONS: &'static [&'static str] = CloseReason::NAMES;
}

/// The `signalr.connection.status` of ASP.NET Core's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndStatus {
    /// Whatever is neither of the others.
    NormalClosure,
    /// The client was silent for too long, or took nothing for too long.
    Timeout,
    /// The server leaves.
    AppShutdown,
}

impl EndStatus {
    /// The tag's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NormalClosure => "normal_closure",
            Self::Timeout => "timeout",
            Self::AppShutdown => "app_shutdown",
        }
    }
}

/// A call that a client made.
#[derive(Debug)]
pub struct ObservedInvocation<'a> {
    /// The method as it was declared; where there is none, what the client
    /// wrote, which may be anything: no label should hold it.
    pub method: &'a str,
    /// Whether the hub has that method.
    pub known: bool,
    /// What came of it.
    pub outcome: InvocationOutcome,
    /// Until the method returned, for one that streams its stream.
    pub took: Duration,
}

/// What came of a client's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InvocationOutcome {
    /// The method returned its value or its stream.
    Completed,
    /// The method, or a check before it, refused the call for what it was.
    Refused,
    /// The hub failed: a panic, an internal error, an answer that cannot be written.
    Failed,
}

impl InvocationOutcome {
    /// A short name for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}
