//! What users write: a hub type, its methods, filters, and what they get.
//!
//! Owns the public face of a hub and the binding of arguments to methods. It
//! never touches a socket; `connection` runs what is bound here.

mod error;
mod context;
mod parameter;
mod upload;
mod reply;
mod method;
mod methods;
pub(crate) mod filter;
mod builder;

use std::{future::Future, sync::Arc};

use futures_util::future::BoxFuture;

pub use builder::{BuildError, HubBuilder, MethodPolicy};
pub use context::{Context, State, User};
pub use error::HubError;
pub use filter::{HubFilter, InvocationInfo, Next};
pub use parameter::{CancellationToken, Parameter};
pub use upload::{Upload, UploadError};

pub(crate) use context::Call;
pub(crate) use error::Fault;
pub(crate) use method::{Answer, BoundCall, Method, Sinks};
pub(crate) use methods::Methods;
pub(crate) use parameter::Binder;
pub(crate) use reply::ReplyKind;
pub(crate) use upload::{Pushed, UploadSink};

/// Type-level labels that tell apart what a type is to the binding of
/// parameters and return values. They are inferred and never named by users.
pub mod markers {
    pub use super::parameter::{Argument, Extracted, Streamed};
    pub use super::reply::{Fallible, FallibleItems, Items, NotAnError, Optional, Value};
}

/// How a client's last connection state change came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client closed, or its transport ended: no error.
    Graceful,
    /// The client closed with an error, or the server ended the connection.
    Error {
        /// The .NET exception that ASP.NET Core would hand to `OnDisconnectedAsync`.
        exception: &'static str,
        /// What went wrong.
        message: String,
    },
}

/// What told that a message reached its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiptSource {
    /// A WebSocket Pong to a Ping frame written behind the message (RFC 6455).
    Pong,
    /// The next poll, unless it came so late that the answer may be lost.
    Poll,
    /// A later message of the client, over Server-Sent Events.
    Message,
    /// An Ack of a stateful connection.
    Ack,
}

impl ReceiptSource {
    /// A short name for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pong => "pong",
            Self::Poll => "poll",
            Self::Message => "message",
            Self::Ack => "ack",
        }
    }
}

/// A hub: one value serves all its connections. Methods are registered with
/// [`HubBuilder::method`]; this trait holds what happens around them.
///
/// ```
/// use signalr::{Context, DisconnectReason, Hub, HubError};
///
/// struct Shop;
///
/// impl Hub for Shop {
///     async fn on_connected(&self, context: &Context) -> Result<(), HubError> {
///         if context.user_id().is_none() {
///             return Err(HubError::new("customers only"));
///         }
///         context.clients().caller().send("Welcome", ()).await;
///         Ok(())
///     }
///
///     async fn on_disconnected(&self, context: &Context, reason: &DisconnectReason) {
///         match reason {
///             DisconnectReason::Graceful => println!("{} left", context.connection_id()),
///             DisconnectReason::Error { message, .. } => println!("lost: {message}"),
///         }
///     }
/// }
/// ```
pub trait Hub: Send + Sync + 'static {
    /// A client finished its handshake. No method of the client runs before
    /// this ends, and an error ends the connection: a
    /// [`HubError::new`] text is shown to the client.
    fn on_connected(&self, context: &Context) -> impl Future<Output = Result<(), HubError>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// The connection is over. Not called when `on_connected` failed.
    fn on_disconnected(
        &self,
        context: &Context,
        reason: &DisconnectReason,
    ) -> impl Future<Output = ()> + Send {
        let _ = (context, reason);
        async {}
    }

    /// The client has every message that was sent to it with
    /// [`Context::send`] and a tag up to this one. Called on the connection's own task: it must not block.
    fn on_receipt(&self, context: &Context, tag: u64, source: ReceiptSource) {
        let _ = (context, tag, source);
    }
}

/// Shared with code that is no hub method; `State` is `State<Arc<..>>` then.
impl<H: Hub> Hub for Arc<H> {
    fn on_connected(&self, context: &Context) -> impl Future<Output = Result<(), HubError>> + Send {
        (**self).on_connected(context)
    }

    fn on_disconnected(
        &self,
        context: &Context,
        reason: &DisconnectReason,
    ) -> impl Future<Output = ()> + Send {
        (**self).on_disconnected(context, reason)
    }

    fn on_receipt(&self, context: &Context, tag: u64, source: ReceiptSource) {
        (**self).on_receipt(context, tag, source);
    }
}

/// [`Hub`] without its type.
pub(crate) trait HubObject: Send + Sync {
    fn connected(self: Arc<Self>, context: Context) -> BoxFuture<'static, Result<(), HubError>>;
    fn disconnected(
        self: Arc<Self>,
        context: Context,
        reason: DisconnectReason,
    ) -> BoxFuture<'static, ()>;
    fn receipt(&self, context: &Context, tag: u64, source: ReceiptSource);
}

impl<H: Hub> HubObject for H {
    fn connected(self: Arc<Self>, context: Context) -> BoxFuture<'static, Result<(), HubError>> {
        Box::pin(async move { self.on_connected(&context).await })
    }

    fn disconnected(
        self: Arc<Self>,
        context: Context,
        reason: DisconnectReason,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.on_disconnected(&context, &reason).await })
    }

    fn receipt(&self, context: &Context, tag: u64, source: ReceiptSource) {
        self.on_receipt(context, tag, source);
    }
}
