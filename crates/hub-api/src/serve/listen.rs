//! Opens listening sockets.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket};

/// A burst of ten thousand connects overflows the usual backlog of 128.
const BACKLOG: u32 = 4096;

/// The hub's listening sockets.
#[derive(Debug)]
pub struct Listeners {
    /// For clients.
    pub public: TcpListener,
    /// For workers, where internal routes have their own port.
    pub internal: Option<TcpListener>,
}

/// Listens on `port` of every address: on `[::]` for IPv6 and IPv4 together,
/// or on `0.0.0.0` where the machine has no IPv6.
///
/// # Errors
/// When neither can be had, e.g. because the port is taken.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    match on((Ipv6Addr::UNSPECIFIED, port).into()) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(error) => {
            tracing::warn!(%error, "no IPv6 here; listening on IPv4 only");
            on((Ipv4Addr::UNSPECIFIED, port).into())
        }
    }
}

fn on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()?
    } else {
        TcpSocket::new_v4()?
    };
    if address.is_ipv6() {
        // Some systems have it on by default.
        socket2::SockRef::from(&socket).set_only_v6(false)?;
    }
    // A restart must not wait for old connections to leave TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_families_reach_the_same_port() {
        let listener = listen(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        if listener.local_addr().unwrap().is_ipv6() {
            tokio::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port))
                .await
                .unwrap();
        }
        assert_eq!(listen(port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
