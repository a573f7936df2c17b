//! A SignalR server for [tower] and [axum].
//!
//! Unmodified SignalR clients (`@microsoft/signalr`, .NET, Java, Dart, Python)
//! connect to it over WebSockets, Server-Sent Events or long polling, with the
//! JSON or the MessagePack protocol. A hub is a plain Rust type; its methods
//! are async functions with typed arguments and extractors:
//!
//! ```
//! use signalr::{Clients, Hub, HubServer};
//!
//! struct Chat;
//! impl Hub for Chat {}
//!
//! async fn send(clients: Clients, user: String, text: String) {
//!     clients.all().send("Message", (user, text)).await;
//! }
//!
//! # fn main() -> Result<(), signalr::BuildError> {
//! # let runtime = tokio::runtime::Runtime::new().unwrap();
//! # let _guard = runtime.enter();
//! let chat = HubServer::builder(Chat).method("Send", send).build()?;
//! let app: axum::Router = axum::Router::new().layer(chat.layer("/chat"));
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! This crate owns the protocol, the transports, connections, hubs, groups and
//! users. It never authenticates (put a [`Principal`] into the request's
//! extensions with any middleware), and keeps nothing when the process ends.
//!
//! How it is laid out: [`protocol`] and `websocket` turn bytes into messages
//! without I/O; `transport` answers HTTP requests and moves bytes;
//! `connection` is the one task of a connection; `hub` is what users write
//! methods against.

pub mod protocol;
mod websocket;
mod ids;
mod connection_token;
mod options;
mod close;
mod observer;
mod principal;
mod hub;
mod outbox;
mod connection;
mod registry;
mod backplane;
mod heartbeat;
mod events;
mod clients;
mod client_results;
mod transport;
mod server;

pub use backplane::{
    Backplane, BackplaneError, BackplaneNode, BackplaneStats, Channel, GroupChange,
    RemoteCompletion, RemoteInvocation, SubscriptionChange, WantedResult,
};
pub use clients::{ClientProxy, Clients, Groups, HubContext, InvokeError, Message, SingleClient};
pub use connection_token::{NodeId, TokenKey};
pub use events::{Event, Question};
pub use hub::markers;
pub use hub::{
    BuildError, CancellationToken, Context, DisconnectReason, Hub, HubBuilder, HubError, HubFilter,
    InvocationInfo, MethodPolicy, Next, Parameter, ReceiptSource, State, Upload, UploadError, User,
};
pub use ids::ConnectionId;
pub use observer::{ConnectionEnd, EndStatus, HubObserver, InvocationOutcome, ObservedInvocation};
pub use options::{HubOptions, Transports};
pub use principal::{Authorization, Principal};
pub use server::{ConnectionSummary, HubServer};
pub use transport::{Admission, HubLayer, HubService, TransportKind};

/// The documents outside of rustdoc: their examples are compiled as well.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/aspnet.md")]
    mod aspnet {}
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_chat_of_the_readme_is_the_example() {
        let example = include_str!("../examples/chat.rs");
        let (_, program) = example.split_once("\n\n").unwrap();
        assert!(include_str!("../README.md").contains(program));
        assert!(program.lines().count() <= 30);
    }
}
