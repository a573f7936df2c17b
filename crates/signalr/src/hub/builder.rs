//! Building a hub: its methods, options, filters and who may use it.

use std::{fmt, sync::Arc, time::Duration};

use http::request::Parts;

use super::{
    Hub, HubFilter, Method, Methods,
    method::{HubMethod, StreamingHubMethod},
};
use crate::{
    Admission, Authorization, Backplane, HubObserver, HubOptions, HubServer, Transports,
    backplane::SharedCarrier, server::HubParts, transport::Gate,
};

/// Why a hub cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Two methods have the same name, letter case aside.
    #[error("the hub has two methods named '{0}' (letter case does not tell methods apart)")]
    DuplicateMethod(String),
    /// An option has a value that makes no sense.
    #[error("the option {option} {problem}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// What is wrong with its value.
        problem: &'static str,
    },
    /// There is no Tokio runtime to run the hub's heartbeat.
    #[error("a hub must be built inside a Tokio runtime")]
    NoRuntime,
}

/// Gathers what a hub is made of; [`build`](Self::build) checks it and starts
/// the hub's heartbeat.
///
/// ```
/// use std::time::Duration;
/// use futures_util::{Stream, stream};
/// use signalr::{Authorization, Hub, HubServer, TransportKind, Transports};
///
/// struct Market;
/// impl Hub for Market {}
///
/// async fn price(symbol: String) -> Option<f64> {
///     (symbol == "TEA").then_some(4.5)
/// }
///
/// async fn prices(symbol: String) -> impl Stream<Item = f64> + Send + 'static {
///     stream::iter(price(symbol).await)
/// }
///
/// async fn close_market() {}
///
/// # let runtime = tokio::runtime::Runtime::new().unwrap();
/// # let _guard = runtime.enter();
/// let market = HubServer::builder(Market)
///     .authorize(Authorization::Authenticated)
///     .method("Price", price)
///     .streaming_method("Prices", prices)
///     .method("CloseMarket", close_market)
///     .allow(Authorization::Role("admin".into())) // of the method before it
///     .transports(Transports::only(TransportKind::WebSockets))
///     .keep_alive_interval(Duration::from_secs(10))
///     .allow_stateful_reconnects(true)
///     .detailed_errors(cfg!(debug_assertions))
///     .build()?;
/// # drop(market);
/// # Ok::<(), signalr::BuildError>(())
/// ```
pub struct HubBuilder<H> {
    hub: Arc<H>,
    options: HubOptions,
    methods: Vec<Method>,
    filters: Vec<Arc<dyn HubFilter>>,
    authorization: Authorization,
    backplane: Option<SharedCarrier>,
    gate: Option<Gate>,
    observer: Option<Arc<dyn HubObserver>>,
}

impl<H: Hub> HubBuilder<H> {
    pub(crate) fn new(hub: H) -> Self {
        Self {
            hub: Arc::new(hub),
            options: HubOptions::default(),
            methods: Vec::new(),
            filters: Vec::new(),
            authorization: Authorization::default(),
            backplane: None,
            gate: None,
            observer: None,
        }
    }

    /// Registers a method.
    #[must_use]
    pub fn method<M>(mut self, name: &str, function: impl HubMethod<H, M>) -> Self {
        self.methods
            .push(Method::plain(name, Arc::clone(&self.hub), function));
        self
    }

    /// Registers a method that returns a stream.
    #[must_use]
    pub fn streaming_method<M>(
        mut self,
        name: &str,
        function: impl StreamingHubMethod<H, M>,
    ) -> Self {
        self.methods
            .push(Method::streaming(name, Arc::clone(&self.hub), function));
        self
    }

    /// Says who may call the method that was registered last.
    #[must_use]
    pub fn allow(mut self, policy: MethodPolicy) -> Self {
        if let Some(method) = self.methods.last_mut() {
            method.authorization = policy;
        }
        self
    }

    /// Says who may connect: others get 401, or 403 when they are known.
    #[must_use]
    pub fn authorize(mut self, authorization: Authorization) -> Self {
        self.authorization = authorization;
        self
    }

    /// Asks `gate` for each new connection, by the head and the extensions of
    /// its request: each negotiate, and each WebSocket that skips it. Callers
    /// whom [`authorize`](Self::authorize) refuses do not come so far. What has
    /// to be looked up belongs in a middleware, which leaves what it finds in
    /// the extensions.
    ///
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
    /// use signalr::{Admission, Hub, HubServer, Principal};
    ///
    /// struct Chat;
    /// impl Hub for Chat {}
    ///
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # let _guard = runtime.enter();
    /// let open = Arc::new(AtomicBool::new(true));
    /// let switch = Arc::clone(&open);
    /// let chat = HubServer::builder(Chat)
    ///     .gate(move |request| {
    ///         if !open.load(Ordering::Relaxed) {
    ///             return Admission::Refuse { message: "The chat is closed.".into(), status: None };
    ///         }
    ///         match request.extensions.get::<Principal>() {
    ///             Some(caller) if caller.has_role("beta") => Admission::Redirect {
    ///                 url: "https://beta.example.com/chat".into(),
    ///                 access_token: None,
    ///             },
    ///             _ => Admission::Open,
    ///         }
    ///     })
    ///     .build()?;
    /// # drop((chat, switch));
    /// # Ok::<(), signalr::BuildError>(())
    /// ```
    #[must_use]
    pub fn gate(mut self, gate: impl Fn(&Parts) -> Admission + Send + Sync + 'static) -> Self {
        self.gate = Some(Box::new(gate));
        self
    }

    /// Adds a filter inside those that were added before.
    #[must_use]
    pub fn filter(mut self, filter: impl HubFilter) -> Self {
        self.filters.push(Arc::new(filter));
        self
    }

    /// Tells `observer` what happens to connections and calls, for metrics and
    /// traces. There is one.
    #[must_use]
    pub fn observer(mut self, observer: impl HubObserver) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Makes this hub one with those of other nodes: what is sent to users,
    /// groups, connections and all reaches the clients of each.
    #[must_use]
    pub fn backplane(mut self, backplane: impl Backplane) -> Self {
        self.backplane = Some(Arc::new(backplane));
        self
    }

    /// Sets all options at once: what the methods below set has to come after.
    #[must_use]
    pub fn options(mut self, options: HubOptions) -> Self {
        self.options = options;
        self
    }

    /// Offers these transports alone.
    #[must_use]
    pub fn transports(mut self, transports: Transports) -> Self {
        self.options.transports = transports;
        self
    }

    /// Shows the text of internal errors to clients.
    #[must_use]
    pub fn detailed_errors(mut self, on: bool) -> Self {
        self.options.enable_detailed_errors = on;
        self
    }

    /// The server sends a Ping this often.
    #[must_use]
    pub fn keep_alive_interval(mut self, interval: Duration) -> Self {
        self.options.keep_alive_interval = interval;
        self
    }

    /// Lets WebSocket clients take up a broken connection.
    #[must_use]
    pub fn allow_stateful_reconnects(mut self, on: bool) -> Self {
        self.options.allow_stateful_reconnects = on;
        self
    }

    /// Checks everything and makes the hub ready to serve.
    ///
    /// # Errors
    /// [`BuildError`] says what is wrong. Must be called inside a Tokio runtime.
    pub fn build(self) -> Result<HubServer, BuildError> {
        check(&self.options)?;
        let mut methods = Methods::with_capacity(self.methods.len());
        for method in self.methods {
            methods
                .insert(method)
                .map_err(BuildError::DuplicateMethod)?;
        }
        HubServer::start(HubParts {
            hub: self.hub,
            options: self.options,
            methods,
            filters: self.filters,
            authorization: self.authorization,
            backplane: self.backplane,
            gate: self.gate,
            observer: self.observer,
        })
    }
}

fn check(options: &HubOptions) -> Result<(), BuildError> {
    let invalid = |option, problem| Err(BuildError::InvalidOption { option, problem });
    if options.maximum_parallel_invocations_per_client == 0 {
        return invalid(
            "maximum_parallel_invocations_per_client",
            "must be at least 1",
        );
    }
    if options.maximum_receive_message_size == Some(0) {
        return invalid(
            "maximum_receive_message_size",
            "must be at least 1, or None for no limit",
        );
    }
    if options.keep_alive_interval.is_zero() || options.client_timeout_interval.is_zero() {
        return invalid(
            "keep_alive_interval and client_timeout_interval",
            "must be above zero",
        );
    }
    if options.transports
        == (Transports {
            web_sockets: false,
            server_sent_events: false,
            long_polling: false,
        })
    {
        return invalid("transports", "must offer at least one transport");
    }
    Ok(())
}

/// Who may call a method.
pub type MethodPolicy = Authorization;

impl<H> fmt::Debug for HubBuilder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder")
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}
