//! What hub code knows of the connection and the call it runs for.

use std::{
    any::{Any, TypeId},
    fmt,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use crate::{
    ConnectionId, Principal, TransportKind,
    clients::{Clients, HubContext},
    close::CloseReason,
    connection::Connection,
    protocol::HubProtocol,
};

/// One invocation under way.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// The call no longer takes one of its client's parallel slots: it ended,
    /// or it waits for an answer of the client.
    slot_released: AtomicBool,
    cancellation: OnceLock<CancellationToken>,
}

impl Call {
    pub(crate) fn cancellation(&self) -> &CancellationToken {
        self.cancellation.get_or_init(CancellationToken::new)
    }

    /// Trips the token, if the method took it.
    pub(crate) fn cancel(&self) {
        self.cancellation().cancel();
    }

    pub(crate) fn release_slot(&self) {
        self.slot_released.store(true, Ordering::Release);
    }

    pub(crate) fn holds_slot(&self) -> bool {
        !self.slot_released.load(Ordering::Acquire)
    }
}

/// The connection that a hub method runs for: its id, its user, what is kept
/// with it. Cheap to clone.
///
/// ```
/// use signalr::{Context, HubError};
///
/// struct Nickname(String);
///
/// async fn rename(context: Context, name: String) -> Result<(), HubError> {
///     if let Some(old) = context.get::<Nickname>() {
///         println!("{} was {}", context.connection_id(), old.0);
///     }
///     if name.is_empty() {
///         context.close(Some("Somebody without a name has to go.".into()), false);
///     }
///     context.insert(Nickname(name));
///     Ok(())
/// }
/// # struct Chat;
/// # impl signalr::Hub for Chat {}
/// # signalr::HubServer::builder(Chat).method("Rename", rename);
/// ```
#[derive(Clone)]
pub struct Context {
    pub(crate) connection: Arc<Connection>,
    pub(crate) call: Option<Arc<Call>>,
    /// Made for `on_connected`.
    connecting: bool,
}

impl Context {
    pub(crate) fn new(connection: Arc<Connection>, call: Option<Arc<Call>>) -> Self {
        Self {
            connection,
            call,
            connecting: false,
        }
    }

    /// The context that `on_connected` gets.
    pub(crate) fn connecting(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            call: None,
            connecting: true,
        }
    }

    /// Whether this is code that the connection's messages wait for: an answer
    /// of the client could not be read.
    pub(crate) fn is_connecting(&self) -> bool {
        self.connecting && !self.connection.is_connected()
    }

    /// The connection's id.
    #[must_use]
    pub fn connection_id(&self) -> ConnectionId {
        self.connection.id()
    }

    /// The user's id, fixed at the handshake; `None` for an anonymous caller.
    #[must_use]
    pub fn user_id(&self) -> Option<&Arc<str>> {
        self.connection.user_id()
    }

    /// The authenticated caller.
    #[must_use]
    pub fn principal(&self) -> Option<Arc<Principal>> {
        self.connection.principal()
    }

    /// How the client is connected.
    #[must_use]
    pub fn transport(&self) -> TransportKind {
        self.connection
            .transport()
            .expect("hub code runs on attached connections")
    }

    /// The client's protocol.
    #[must_use]
    pub fn protocol(&self) -> HubProtocol {
        self.connection
            .protocol()
            .expect("hub code runs after the handshake")
    }

    /// What is kept with the connection under that type.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.connection
            .items()
            .iter()
            .find(|(id, _)| *id == TypeId::of::<T>())
            .map(|(_, item)| {
                Arc::clone(item)
                    .downcast()
                    .expect("items are kept under their own type")
            })
    }

    /// Keeps a value with the connection, in place of the one of its type.
    pub fn insert<T: Any + Send + Sync>(&self, value: T) -> Arc<T> {
        let value = Arc::new(value);
        let mut items = self.connection.items();
        items.retain(|(id, _)| *id != TypeId::of::<T>());
        items.push((
            TypeId::of::<T>(),
            Arc::clone(&value) as Arc<dyn Any + Send + Sync>,
        ));
        value
    }

    /// What is kept with the connection under that type, made where there is
    /// nothing yet. `make` runs under a lock: it must not use this context.
    pub fn get_or_insert_with<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut items = self.connection.items();
        let kept = items.iter().find(|(id, _)| *id == TypeId::of::<T>());
        let item = match kept {
            Some((_, item)) => Arc::clone(item),
            None => {
                let item: Arc<dyn Any + Send + Sync> = Arc::new(make());
                items.push((TypeId::of::<T>(), Arc::clone(&item)));
                item
            }
        };
        item.downcast()
            .expect("items are kept under their own type")
    }

    /// All clients of the hub, this one among them.
    #[must_use]
    pub fn clients(&self) -> Clients {
        Clients::new(self.clone())
    }

    /// The hub, as code outside of its methods sees it.
    #[must_use]
    pub fn hub(&self) -> HubContext {
        HubContext::new(Arc::clone(self.connection.core()))
    }

    /// Ends the connection without an error.
    pub fn abort(&self) {
        self.connection.request_close(CloseReason::Aborted);
    }

    /// Ends the connection with a text for its user.
    pub fn close(&self, error: Option<String>, allow_reconnect: bool) {
        self.connection.request_close(CloseReason::Closed {
            error,
            allow_reconnect,
        });
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("connection_id", &self.connection.id())
            .field("user_id", &self.connection.user_id())
            .finish_non_exhaustive()
    }
}

/// Extracts the hub itself.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use signalr::{Hub, State};
///
/// #[derive(Default)]
/// struct Counter(AtomicU64);
/// impl Hub for Counter {}
///
/// async fn next(hub: State<Counter>) -> u64 {
///     hub.0.fetch_add(1, Ordering::Relaxed)
/// }
/// # signalr::HubServer::builder(Counter::default()).method("Next", next);
/// ```
#[derive(Debug)]
pub struct State<H>(pub(crate) Arc<H>);

impl<H> Deref for State<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.0
    }
}

impl<H> Clone for State<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Extracts the caller's user id; a call without one fails as unauthorized.
///
/// ```
/// use signalr::User;
///
/// async fn who_am_i(User(id): User) -> String {
///     id.to_string()
/// }
/// # struct Chat;
/// # impl signalr::Hub for Chat {}
/// # signalr::HubServer::builder(Chat).method("WhoAmI", who_am_i);
/// ```
#[derive(Debug, Clone)]
pub struct User(pub Arc<str>);
