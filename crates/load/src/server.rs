//! The server under load, as every connection needs to know it.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use signalr::protocol::HubProtocol;

use crate::{
    link::Transport,
    target::{self, Url},
    token::Tokens,
};

/// The server and how it is spoken to.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: Url,
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
    pub(crate) protocol: HubProtocol,
    pub(crate) negotiates: bool,
    /// Connections for sending stay open between two sends.
    pub(crate) keeps_posts: bool,
    pub(crate) tokens: Tokens,
    pub(crate) users: u64,
    pub(crate) first_user: u64,
    pub(crate) opened: AtomicU64,
}

impl Server {
    /// A number for the next connection; none is given twice.
    pub(crate) fn next_number(&self) -> u64 {
        self.opened.fetch_add(1, Ordering::Relaxed)
    }

    /// Where the connection of that number comes from.
    pub(crate) fn source(&self, number: u64) -> Option<SocketAddr> {
        target::source(self.address, number)
    }

    /// The place among the users of the client at `place`.
    pub(crate) fn user_of(&self, place: u64) -> u64 {
        place % self.users
    }

    /// The id of the user at that place.
    pub(crate) fn user_id(&self, user: u64) -> u64 {
        self.first_user + user
    }
}
