//! Free ports on the loopback interface.

use std::net::TcpListener;

use anyhow::{Result, bail};
use rand::RngExt as _;

/// Below Linux's range for outgoing connections (32768 and up). A client that
/// keeps trying a dead server's port inside that range can connect to itself,
/// and the port is taken when the server comes back.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port that nothing listens on, kept for nobody.
pub fn free_port() -> Result<u16> {
    for _ in 0..200 {
        let port = rand::rng().random_range(RANGE);
        // Both families: the services listen on `[::]`.
        let v4 = TcpListener::bind(("127.0.0.1", port));
        let v6 = TcpListener::bind(("::1", port));
        if v4.is_ok() && v6.is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {} and {}", RANGE.start, RANGE.end)
}
