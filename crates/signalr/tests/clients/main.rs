//! Clients made by others, against real sockets: the official npm client, the
//! two clients on PyPI, and the Flutter client's requests byte for byte.
//!
//! `scripts/test.sh` installs the packages; without them these tests fail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../examples/conformance_hub/service/mod.rs"]
mod service;
#[path = "../peer/mod.rs"]
mod peer;
mod meadow;
mod server;
mod program;
mod proxy;
mod javascript;
mod reconnect;
mod python;
mod flutter;
