//! Where the load goes: the server's address, whether it may be loaded, and
//! from which addresses of this machine its connections come.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    str::FromStr,
};

/// Connections that one source address holds before the next one is used: some
/// fewer than the ports that a system gives away by itself (32768 to 60999 by
/// default), since closed ones keep theirs for a minute.
const CONNECTIONS_A_SOURCE: u64 = 20_000;
/// 127.0.0.1 to 127.0.0.250.
const SOURCES: u64 = 250;

/// An `http://` address: host, port and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// `host:port`, as it goes into the Host header.
    pub(crate) authority: String,
    /// The path, with its query.
    pub(crate) path: String,
}

/// Why a text is no address, or one that is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not of the form that is read.
    #[error("{0:?} is no address; accepted: http://host[:port][/path]")]
    Form(String),
    /// TLS.
    #[error(
        "{0:?} is not loaded: TLS is not spoken here; load the server behind its proxy (http://host[:port][/path])"
    )]
    Tls(String),
    /// The name has no address.
    #[error("{host} has no address: {source}")]
    Unknown {
        /// The name.
        host: String,
        /// Why not.
        source: std::io::Error,
    },
    /// On another machine.
    #[error(
        "{0} is not on this machine; --allow-remote loads it all the same: only do that to a server of your own"
    )]
    Remote(String),
}

impl FromStr for Url {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let form = || TargetError::Form(text.to_owned());
        if text.starts_with("https://") || text.starts_with("wss://") {
            return Err(TargetError::Tls(text.to_owned()));
        }
        let rest = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("ws://"));
        let rest = rest.ok_or_else(form)?;
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let plain = |c: char| c.is_ascii_graphic() && !"@#\"<>\\".contains(c);
        if authority.is_empty() || !authority.chars().all(plain) || !path.chars().all(plain) {
            return Err(form());
        }
        let behind_host = authority
            .rsplit_once(']')
            .map_or(authority, |(_, rest)| rest);
        let authority = match behind_host.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => authority.to_owned(),
            Some(_) => return Err(form()),
            None => format!("{authority}:80"),
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            authority,
            path: format!("{slash}{path}"),
        })
    }
}

impl Url {
    /// Another path of the same server.
    pub(crate) fn at(&self, path: &str) -> Self {
        Self {
            authority: self.authority.clone(),
            path: path.to_owned(),
        }
    }

    /// The path with more in its query.
    pub(crate) fn path_with(&self, query: &str) -> String {
        let joint = if self.path.contains('?') { '&' } else { '?' };
        match query {
            "" => self.path.clone(),
            query => format!("{}{joint}{query}", self.path),
        }
    }

    /// The server's address. One that is not on this machine is refused
    /// without `allow_remote`.
    pub(crate) async fn resolve(&self, allow_remote: bool) -> Result<SocketAddr, TargetError> {
        let unknown = |source| TargetError::Unknown {
            host: self.authority.clone(),
            source,
        };
        let found = tokio::net::lookup_host(&self.authority).await;
        let mut found: Vec<SocketAddr> = found.map_err(unknown)?.collect();
        // IPv4 first: it alone has many loopback addresses to come from.
        found.sort_by_key(SocketAddr::is_ipv6);
        let first = found.first().copied();
        let first = first.ok_or_else(|| unknown(std::io::ErrorKind::NotFound.into()))?;
        if allow_remote || found.iter().all(|address| is_own(address.ip())) {
            return Ok(first);
        }
        Err(TargetError::Remote(self.authority.clone()))
    }
}

/// Whether it is an address of this machine: only such ones can be bound.
fn is_own(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

/// Where the connection of that number comes from: from another loopback
/// address each time that one may have run out of ports. `None` leaves it to
/// the system.
pub(crate) fn source(target: SocketAddr, number: u64) -> Option<SocketAddr> {
    let IpAddr::V4(target) = target.ip() else {
        return None;
    };
    let place = number / CONNECTIONS_A_SOURCE % SOURCES;
    let last = u8::try_from(place + 1).ok()?;
    (target.is_loopback() && number >= CONNECTIONS_A_SOURCE)
        .then(|| (Ipv4Addr::new(127, 0, 0, last), 0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, String) {
        let url: Url = text.parse().unwrap();
        (url.authority, url.path)
    }

    #[test]
    fn addresses_are_read() {
        let pair = |authority: &str, path: &str| (authority.to_owned(), path.to_owned());
        assert_eq!(read("http://localhost"), pair("localhost:80", "/"));
        assert_eq!(
            read("http://[::1]:8080/hub?a=b"),
            pair("[::1]:8080", "/hub?a=b")
        );
        assert_eq!(read("ws://h:1?x"), pair("h:1", "/?x"));
        let url: Url = "http://h:1/hub?a=b".parse().unwrap();
        assert_eq!(url.path_with("id=1"), "/hub?a=b&id=1");
        assert_eq!(url.at("/x").path_with("id=1"), "/x?id=1");
        for wrong in [
            "",
            "localhost",
            "http://",
            "http://h:port/",
            "http://h/ x",
            "http://u@h/",
        ] {
            let error = wrong.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains("accepted: http://host"), "{error}");
        }
        let error = "https://h".parse::<Url>().unwrap_err().to_string();
        assert!(error.contains("TLS"), "{error}");
    }

    #[tokio::test]
    async fn other_machines_are_refused_unless_told() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        assert!(url("http://127.0.0.1:1").resolve(false).await.is_ok());
        let remote = url("http://192.0.2.1:1");
        let error = remote.resolve(false).await.unwrap_err().to_string();
        assert!(error.contains("--allow-remote"), "{error}");
        assert!(remote.resolve(true).await.is_ok());
    }

    #[test]
    fn many_connections_come_from_several_addresses() {
        let loopback: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let from = |number| source(loopback, number).map(|address| address.ip().to_string());
        assert_eq!(from(0), None);
        assert_eq!(from(19_999), None);
        assert_eq!(from(20_000).as_deref(), Some("127.0.0.2"));
        assert_eq!(from(20_000 * 250).as_deref(), Some("127.0.0.1"));
        assert_eq!(source("192.0.2.1:1".parse().unwrap(), 20_000), None);
    }
}
