//! Free ports on the loopback interface.

use std::net::TcpListener;

use rand::RngExt as _;

use crate::Error;

/// Below Linux's range for outgoing connections (32768 and up). A client that
/// keeps trying a dead server's port inside that range can connect to itself,
/// and the port is taken when the server comes back.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port that nothing listens on, kept for nobody: whoever listens on it next
/// must expect that another process was faster.
pub fn free_port() -> Result<u16, Error> {
    for _ in 0..200 {
        let port = rand::rng().random_range(RANGE);
        // Both families: services under test listen on `[::]`.
        let v4 = TcpListener::bind(("127.0.0.1", port));
        let v6 = TcpListener::bind(("::1", port));
        if v4.is_ok() && v6.is_ok() {
            return Ok(port);
        }
    }
    Err(Error::NoPort)
}
