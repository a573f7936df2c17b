//! Serves HTTP/1.1 and HTTP/2 on TCP: listening, the limits of a connection,
//! and its orderly end. It knows nothing of routes.

mod listen;
mod connection;
mod socket;
mod activity;
mod arriving;
mod repoll;

pub use connection::{Limits, Peer, serve};
pub use listen::{Listeners, listen};
pub use socket::Socket;
