//! The hubs that clients and operators connect to.
//!
//! Each file is one hub: its methods, and what happens when a client comes.
//! What is sent to clients is decided in [`delivery`](crate::delivery).

pub mod plant_analysis;
pub mod operations;

use signalr::{HubOptions, NodeId, TokenKey};

use crate::config::SignalRConfig;

/// What both hubs take from the settings.
fn options(settings: &SignalRConfig, token_key: TokenKey) -> HubOptions {
    HubOptions {
        keep_alive_interval: settings.keep_alive_interval,
        client_timeout_interval: settings.connection_timeout,
        close_on_authentication_expiration: settings.close_on_token_expiry,
        token_key,
        node: NodeId::random(),
        ..HubOptions::default()
    }
}
