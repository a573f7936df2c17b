//! A hub that runs: what its connections share, and its life.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    Authorization, BackplaneStats, BuildError, ConnectionId, Hub, HubBuilder, HubContext,
    HubFilter, HubLayer, HubObserver, HubOptions, HubService, TransportKind,
    backplane::{Relay, SharedCarrier, Subscriptions},
    client_results::ClientResults,
    close::CloseReason,
    connection_token::TokenMint,
    heartbeat,
    hub::{HubObject, Methods},
    outbox::Frame,
    protocol::{Headers, HubProtocol},
    registry::Registry,
    transport::Gate,
};

/// A hub with its methods and connections. Cheap to clone; it ends with its
/// last clone and last connection.
///
/// ```no_run
/// use std::time::Duration;
/// use axum::Router;
/// use signalr::{Hub, HubServer};
///
/// struct Chat;
/// impl Hub for Chat {}
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let chat = HubServer::builder(Chat).build()?;
/// let app = Router::new().layer(chat.layer("/chat"));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:5000").await?;
/// let leave = async move {
///     let _ = tokio::signal::ctrl_c().await;
///     // Clients reconnect one after another, and elsewhere.
///     chat.drain(Duration::from_secs(10)).await;
/// };
/// axum::serve(listener, app).with_graceful_shutdown(leave).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HubServer {
    core: Arc<Core>,
}

/// What all connections of a hub share.
pub(crate) struct Core {
    pub(crate) options: HubOptions,
    pub(crate) hub: Arc<dyn HubObject>,
    pub(crate) methods: Methods,
    pub(crate) gate: Option<Gate>,
    pub(crate) filters: Vec<Arc<dyn HubFilter>>,
    pub(crate) observer: Option<Arc<dyn HubObserver>>,
    pub(crate) authorization: Authorization,
    pub(crate) mint: TokenMint,
    pub(crate) registry: Registry,
    /// The way to other nodes.
    pub(crate) relay: Option<Relay>,
    pub(crate) client_results: ClientResults,
    pub(crate) draining: AtomicBool,
    pings: [Frame; 2],
    started: Instant,
}

/// What a hub is built from.
pub(crate) struct HubParts {
    pub(crate) hub: Arc<dyn HubObject>,
    pub(crate) options: HubOptions,
    pub(crate) methods: Methods,
    pub(crate) filters: Vec<Arc<dyn HubFilter>>,
    pub(crate) authorization: Authorization,
    pub(crate) observer: Option<Arc<dyn HubObserver>>,
    pub(crate) backplane: Option<SharedCarrier>,
    pub(crate) gate: Option<Gate>,
}

/// One connection, for an operator.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionSummary {
    /// Its id.
    pub connection_id: ConnectionId,
    /// Its user.
    pub user_id: Option<String>,
    /// Its transport's name.
    pub transport: &'static str,
    /// Its protocol's name.
    pub protocol: &'static str,
    /// Bytes that wait to be written to it.
    pub waiting_bytes: usize,
}

impl HubServer {
    /// Starts the description of a hub.
    pub fn builder<H: Hub>(hub: H) -> HubBuilder<H> {
        HubBuilder::new(hub)
    }

    pub(crate) fn start(parts: HubParts) -> Result<Self, BuildError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let HubParts {
            hub,
            options,
            methods,
            filters,
            authorization,
            observer,
            backplane,
            gate,
        } = parts;
        let mint = TokenMint::new(&options.token_key, options.node, options.disconnect_timeout);
        let ping = |protocol: HubProtocol| {
            Frame::uncounted(protocol, |out| out.extend_from_slice(protocol.ping()))
        };
        let relay = backplane
            .map(|carrier| Relay::new(carrier, Arc::new(Subscriptions::new()), &options, &runtime));
        let subscriptions = relay.as_ref().map(|relay| Arc::clone(&relay.subscriptions));
        let core = Arc::new(Core {
            options,
            hub,
            methods,
            gate,
            filters,
            observer,
            authorization,
            mint,
            registry: Registry::new(subscriptions),
            relay,
            client_results: ClientResults::default(),
            draining: AtomicBool::new(false),
            pings: HubProtocol::ALL.map(ping),
            started: Instant::now(),
        });
        if let Some(relay) = &core.relay {
            relay.start(&core, &runtime);
        }
        runtime.spawn(heartbeat::run(Arc::downgrade(&core)));
        Ok(Self { core })
    }

    /// A tower layer that serves the hub at `path` (letter case does not
    /// matter) and passes every other request on.
    #[must_use]
    pub fn layer(&self, path: &str) -> HubLayer {
        HubLayer::new(self.clone(), path)
    }

    /// A tower service that serves the hub at `path`, and 404 elsewhere.
    #[must_use]
    pub fn service(&self, path: &str) -> HubService<crate::transport::NotFound> {
        HubService::new(self.clone(), path, crate::transport::NotFound)
    }

    /// The hub as code outside of its methods sees it.
    #[must_use]
    pub fn context(&self) -> HubContext {
        HubContext::new(Arc::clone(&self.core))
    }

    /// How many clients are connected here.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.core.registry.len()
    }

    /// Every client connected here.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionSummary> {
        let mut summaries = Vec::with_capacity(self.connection_count());
        self.core.registry.for_all(|connection| {
            summaries.push(ConnectionSummary {
                connection_id: connection.id(),
                user_id: connection.user_id().map(|user_id| user_id.to_string()),
                transport: connection.transport().map_or("none", TransportKind::name),
                protocol: connection.protocol().map_or("none", HubProtocol::name),
                waiting_bytes: connection.outbox().waiting_bytes(),
            });
        });
        summaries
    }

    /// How many of the clients connected here are slow now: nothing was written
    /// to them for a second although something waits, or more than half of
    /// [`maximum_send_queue_size`](HubOptions::maximum_send_queue_size) waits.
    ///
    /// It looks at each connection when it is called; nothing is kept for it.
    #[must_use]
    pub fn slow_client_count(&self) -> usize {
        let mut slow = 0;
        self.core
            .registry
            .for_all(|connection| slow += usize::from(connection.is_slow()));
        slow
    }

    /// What the backplane has done so far; `None` without one.
    #[must_use]
    pub fn backplane_stats(&self) -> Option<BackplaneStats> {
        self.core.relay.as_ref().map(Relay::stats)
    }

    /// Ends a connection with a text for its user; false when it is not here.
    pub fn close(&self, id: ConnectionId, error: Option<String>, allow_reconnect: bool) -> bool {
        let connection = self.core.registry.by_id(id);
        if let Some(connection) = &connection {
            connection.request_close(CloseReason::Closed {
                error,
                allow_reconnect,
            });
        }
        connection.is_some()
    }

    /// Refuses new connections and closes all clients, spread evenly over
    /// `spread`, telling them to reconnect; gives up on those that are left,
    /// and on what waits for the backplane, five seconds later.
    pub async fn drain(&self, spread: Duration) {
        self.core.draining.store(true, Ordering::Release);
        self.close_all(spread).await;
        // Those that were being attached when the list was made.
        self.close_all(Duration::ZERO).await;
        let deadline = Instant::now() + Duration::from_secs(5);
        let relay = self.core.relay.as_ref();
        let is_left = || self.connection_count() > 0 || relay.is_some_and(|relay| !relay.is_idle());
        while is_left() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn close_all(&self, spread: Duration) {
        let mut connections = Vec::new();
        self.core
            .registry
            .for_announced(|connection| connections.push(Arc::clone(connection)));
        let pause = spread / u32::try_from(connections.len().max(1)).unwrap_or(u32::MAX);
        let mut due = Instant::now();
        for connection in connections {
            connection.request_close(CloseReason::ServerShutdown);
            due += pause;
            tokio::time::sleep_until(due).await;
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

impl fmt::Debug for HubServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubServer")
            .field("connections", &self.connection_count())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Whether new connections are refused.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// What a call runs in.
    pub(crate) fn span(&self, method: &str, headers: &Headers<'_>) -> tracing::Span {
        match &self.observer {
            Some(observer) => observer.span(method, headers),
            None => tracing::Span::none(),
        }
    }

    /// Milliseconds since the hub started.
    pub(crate) fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// How long ago a time of [`now`](Self::now) was.
    pub(crate) fn since(&self, time: &AtomicU64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(time.load(Ordering::Relaxed)))
    }

    pub(crate) fn ping(&self, protocol: HubProtocol) -> Frame {
        match protocol {
            HubProtocol::Json => self.pings[0].clone(),
            HubProtocol::MessagePack => self.pings[1].clone(),
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}
