//! Addresses and networks (CIDR) of internal callers.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// A network; a single address is a network of one.
pub type Network = IpNet;

/// Reads `10.0.0.5`, `10.0.0.0/8`, `::1` or `fd00::/8`.
#[must_use]
pub fn parse_network(text: &str) -> Option<Network> {
    let text = text.trim();
    text.parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// The address that a peer has: on a socket that serves IPv6 and IPv4, IPv4
/// peers come as `::ffff:a.b.c.d` and would match no IPv4 network.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// What stands for a caller in a rate limit: an IPv6 host has a whole /64 to
/// choose addresses from.
#[must_use]
pub fn rate_key(address: IpAddr) -> IpAddr {
    match canonical(address) {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read_and_mapped_ones_are_unmapped() {
        for text in ["10.0.0.5", "10.0.0.0/8", "::1", "fd00::/8"] {
            assert!(parse_network(text).is_some(), "{text}");
        }
        for text in ["", "10.0.0", "10.0.0.0/33", "example.com", "*"] {
            assert!(parse_network(text).is_none(), "{text}");
        }
        let mapped: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
        assert!(
            parse_network("10.0.0.0/8")
                .unwrap()
                .contains(&canonical(mapped))
        );
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_share_a_key() {
        let key = |text: &str| rate_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
    }
}
