//! Free ports on the loopback interface.

use std::{
    fs::{self, File},
    net::TcpListener,
    sync::Mutex,
};

use rand::RngExt as _;

use crate::Error;

/// Below Linux's range for outgoing connections (32768 and up). A client that
/// keeps trying a dead server's port inside that range can connect to itself,
/// and the port is taken when the server comes back.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Where all test processes of this machine lock the ports that they were given.
const LOCKS: &str = "tendril-test-ports";

/// The locks of this process. The system lifts them when it ends.
static GIVEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port that nothing listens on, and that no test gets while this process
/// lives: a server that is down for a moment finds its port free again.
pub fn free_port() -> Result<u16, Error> {
    let folder = std::env::temp_dir().join(LOCKS);
    fs::create_dir_all(&folder).map_err(Error::io("cannot make", &folder))?;
    for _ in 0..500 {
        let port = rand::rng().random_range(RANGE);
        let path = folder.join(port.to_string());
        let lock = File::create(&path).map_err(Error::io("cannot write", &path))?;
        if lock.try_lock().is_err() {
            continue;
        }
        // Both families: services under test listen on `[::]`.
        let v4 = TcpListener::bind(("127.0.0.1", port));
        let v6 = TcpListener::bind(("::1", port));
        if v4.is_ok() && v6.is_ok() {
            let mut given = GIVEN.lock().expect("no holder of this lock panics");
            given.push(lock);
            return Ok(port);
        }
    }
    Err(Error::NoPort)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: BTreeSet<_> = (0..500).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 500);
        // Another process would find them locked, as this second opening does.
        for port in ports {
            let path = std::env::temp_dir().join(LOCKS).join(port.to_string());
            assert!(File::create(path).unwrap().try_lock().is_err(), "{port}");
        }
    }
}
