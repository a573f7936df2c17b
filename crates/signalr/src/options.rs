//! What can be set on a hub, with ASP.NET Core's names and defaults.

use std::time::Duration;

use crate::{
    connection_token::{NodeId, TokenKey},
    transport::TransportKind,
};

/// The transports that a hub offers.
///
/// ```
/// use signalr::{TransportKind, Transports};
///
/// let no_polling = Transports { long_polling: false, ..Transports::ALL };
/// assert_ne!(no_polling, Transports::only(TransportKind::WebSockets));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transports {
    /// WebSockets.
    pub web_sockets: bool,
    /// Server-Sent Events.
    pub server_sent_events: bool,
    /// Long polling.
    pub long_polling: bool,
}

impl Transports {
    /// All three.
    pub const ALL: Self = Self {
        web_sockets: true,
        server_sent_events: true,
        long_polling: true,
    };

    /// That one alone.
    #[must_use]
    pub fn only(kind: TransportKind) -> Self {
        Self {
            web_sockets: kind == TransportKind::WebSockets,
            server_sent_events: kind == TransportKind::ServerSentEvents,
            long_polling: kind == TransportKind::LongPolling,
        }
    }

    pub(crate) fn has(self, kind: TransportKind) -> bool {
        match kind {
            TransportKind::WebSockets => self.web_sockets,
            TransportKind::ServerSentEvents => self.server_sent_events,
            TransportKind::LongPolling => self.long_polling,
        }
    }
}

/// The options of a hub. Times are checked once a second, as ASP.NET Core does.
///
/// ```
/// use std::time::Duration;
/// use signalr::{HubOptions, TokenKey};
///
/// /// Every node has the same key, and so takes the clients of each other.
/// fn options(key: [u8; 32]) -> HubOptions {
///     HubOptions {
///         client_timeout_interval: Duration::from_secs(60),
///         maximum_receive_message_size: Some(1024 * 1024),
///         token_key: TokenKey::new(key),
///         ..HubOptions::default()
///     }
/// }
/// # options([7; 32]);
/// ```
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// A client must have sent its handshake this long after it attached.
    pub handshake_timeout: Duration,
    /// The server sends a Ping when its last one is longer ago than this.
    pub keep_alive_interval: Duration,
    /// A client that sent a Ping once and then nothing for this long is closed.
    pub client_timeout_interval: Duration,
    /// The longest message a client may send, in bytes with framing; `None`
    /// for no limit.
    pub maximum_receive_message_size: Option<usize>,
    /// Items of a client's upload that wait for the method; when so many wait,
    /// the connection is not read.
    pub stream_buffer_capacity: usize,
    /// Invocations of one client that run at the same time; at least 1.
    pub maximum_parallel_invocations_per_client: usize,
    /// Shows the text of internal errors to clients.
    pub enable_detailed_errors: bool,
    /// Lets clients take up a WebSocket connection where it broke.
    pub allow_stateful_reconnects: bool,
    /// Bytes of unacknowledged messages that a stateful connection keeps
    /// before its methods have to wait.
    pub stateful_reconnect_buffer_size: usize,
    /// What is offered.
    pub transports: Transports,
    /// Bytes that may wait to be read from a client over HTTP POST before the
    /// request has to wait; 0 for no limit.
    pub application_max_buffer_size: usize,
    /// Bytes that may wait to be written before a method's own answers and
    /// stream items have to wait; 0: they never wait, and only
    /// `maximum_send_queue_size` bounds them.
    pub transport_max_buffer_size: usize,
    /// Bytes that may wait to be written before the client counts as too slow
    /// and is closed. Sends to groups, users and all never wait, so this is
    /// what a slow receiver can cost.
    pub maximum_send_queue_size: usize,
    /// A write that makes no progress for this long ends the connection;
    /// `None` waits for ever.
    pub transport_send_timeout: Option<Duration>,
    /// A poll with nothing to tell is answered after this long.
    pub poll_timeout: Duration,
    /// How long a client may take to answer the server's WebSocket close frame.
    pub web_socket_close_timeout: Duration,
    /// How long a connection lives without a transport: before it attaches,
    /// between polls, while a stateful one is broken.
    pub disconnect_timeout: Duration,
    /// Closes a connection (it may reconnect) when its token expires.
    pub close_on_authentication_expiration: bool,
    /// The oldest negotiate version that is served.
    pub minimum_protocol_version: i32,
    /// The key of connection tokens; nodes with the same key take each other's
    /// clients.
    pub token_key: TokenKey,
    /// This node among those.
    pub node: NodeId,
    /// How long the backplane may take for a message or a subscription.
    pub backplane_timeout: Duration,
    /// How long [`Groups`](crate::Groups) waits until the node that has the
    /// connection says that it has changed the group.
    pub remote_group_timeout: Duration,
    /// How long [`SingleClient::invoke`](crate::SingleClient::invoke) waits for
    /// a client of another node, which may have died with its node.
    pub remote_result_timeout: Duration,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(15),
            keep_alive_interval: Duration::from_secs(15),
            client_timeout_interval: Duration::from_secs(30),
            maximum_receive_message_size: Some(32 * 1024),
            stream_buffer_capacity: 10,
            maximum_parallel_invocations_per_client: 1,
            enable_detailed_errors: false,
            allow_stateful_reconnects: false,
            stateful_reconnect_buffer_size: 100_000,
            transports: Transports::ALL,
            application_max_buffer_size: 64 * 1024,
            transport_max_buffer_size: 64 * 1024,
            maximum_send_queue_size: 1024 * 1024,
            transport_send_timeout: Some(Duration::from_secs(10)),
            poll_timeout: Duration::from_secs(90),
            web_socket_close_timeout: Duration::from_secs(5),
            disconnect_timeout: Duration::from_secs(15),
            close_on_authentication_expiration: false,
            minimum_protocol_version: 0,
            token_key: TokenKey::random(),
            node: NodeId::random(),
            backplane_timeout: Duration::from_secs(5),
            remote_group_timeout: Duration::from_secs(30),
            remote_result_timeout: Duration::from_secs(600),
        }
    }
}
