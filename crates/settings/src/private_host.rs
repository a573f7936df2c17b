//! Hosts to which plain text travels over networks of one's own.

use std::net::{IpAddr, Ipv4Addr};

/// Whether `host` of an address is on this machine or in a private network, as
/// far as its name tells: an address of such a network, a name without a dot as
/// containers have, or a name under a domain that is never public.
#[must_use]
pub fn is_private_host(host: &str) -> bool {
    const PRIVATE: [&str; 5] = [".internal", ".local", ".localhost", ".lan", ".svc"];
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => is_private_v4(address),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => !host.contains('.') || PRIVATE.iter().any(|end| host.ends_with(end)),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_private() || address.is_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_tell_where_they_are() {
        for host in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "10.1.2.3",
            "192.168.1.1",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "hub",
            "hub.railway.internal",
            "hub.default.svc",
            "hub.default.svc.cluster.local",
        ] {
            assert!(is_private_host(host), "{host}");
        }
        for host in [
            "api.example.com",
            "8.8.8.8",
            "[2001:db8::1]",
            "internal.example.com",
        ] {
            assert!(!is_private_host(host), "{host}");
        }
    }
}
