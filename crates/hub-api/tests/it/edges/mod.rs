//! The hub's edges: connections, addresses, origins, keys and limits.

mod floods;
pub(crate) mod issuer;
mod keep_alive;
mod keys;
mod limits;
mod origins;
mod proxies;
