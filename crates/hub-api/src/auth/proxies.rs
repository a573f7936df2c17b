//! Where a call comes from when proxies stand in between. A header says it, and
//! anybody can send a header: it is believed hop by hop from the right, as far
//! as the hops are proxies that the configuration trusts.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use serde::Deserialize;

use super::{Network, canonical, parse_network};
use crate::config::ServerConfig;

/// More hops than this are no path through proxies.
const MOST_HOPS: usize = 32;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = http::header::FORWARDED;

/// The header in which proxies say for whom they call. One is believed and the
/// other is not: a proxy that writes one of them passes the other as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// What nearly all proxies write.
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// Where a call comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The nearest address that is no trusted proxy.
    pub address: IpAddr,
    /// Whether it says that it calls for somebody else. Then nothing may be
    /// granted to the address itself, which may be a proxy that nobody named.
    pub is_proxy: bool,
}

/// The proxies that are trusted.
#[derive(Debug, Clone)]
pub struct Proxies {
    trusted: Vec<Network>,
    header: ForwardedHeader,
}

impl Proxies {
    /// Those of the configuration; what does not parse was refused before.
    #[must_use]
    pub fn from_config(config: &ServerConfig) -> Self {
        let trusted = config.trusted_proxies.iter();
        Self {
            trusted: trusted.filter_map(|text| parse_network(text)).collect(),
            header: config.forwarded_header,
        }
    }

    /// The client of a call that came from `peer` with these headers.
    #[must_use]
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> Client {
        let peer = canonical(peer.ip());
        let forwards = headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED);
        if !self.trusts(peer) {
            return Client {
                address: peer,
                is_proxy: forwards,
            };
        }
        let hops = self.hops(headers);
        // A trusted proxy that forwards, and says in no header that is read
        // for whom, hides a client that must not pass for the proxy itself.
        let mut is_proxy = forwards && hops.is_empty() || hops.len() == MOST_HOPS;
        let mut address = peer;
        for hop in hops.iter().rev() {
            // A hop that hides its address is where knowledge ends.
            let Some(hop) = parse_hop(hop) else {
                is_proxy = true;
                break;
            };
            address = canonical(hop);
            if !self.trusts(address) {
                is_proxy = false;
                break;
            }
        }
        Client { address, is_proxy }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|each| each.contains(&address))
    }

    /// The hops of all lines of the header, the nearest one last.
    fn hops(&self, headers: &HeaderMap) -> Vec<String> {
        let name = match self.header {
            ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
            ForwardedHeader::Forwarded => FORWARDED,
        };
        let lines = headers.get_all(name).iter();
        let elements = lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            // What cannot be read hides an address, which is no hop to skip.
            .map(|element| std::str::from_utf8(element).unwrap_or("?"));
        let mut hops: Vec<String> = elements
            .map(|element| match self.header {
                ForwardedHeader::XForwardedFor => element.trim().to_owned(),
                ForwardedHeader::Forwarded => forwarded_for(element).to_owned(),
            })
            .collect();
        hops.drain(..hops.len().saturating_sub(MOST_HOPS));
        hops
    }
}

/// The value of `for` in an element of `Forwarded`, unquoted. Commas do not
/// stand in addresses, so that a quoted one with a comma is no address anyway.
fn forwarded_for(element: &str) -> &str {
    element
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))
        .map_or("", |(_, value)| value.trim().trim_matches('"'))
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]`, `[2001:db8::1]:80`.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(text)
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|full| full.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ForwardedHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        Proxies {
            trusted: trusted
                .iter()
                .filter_map(|text| parse_network(text))
                .collect(),
            header,
        }
    }

    fn client(
        header: ForwardedHeader,
        peer: &str,
        lines: &[(&'static str, &str)],
    ) -> (String, bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let found = proxies(header).client(SocketAddr::new(peer.parse().unwrap(), 1), &headers);
        (found.address.to_string(), found.is_proxy)
    }

    #[test]
    fn the_rightmost_hop_that_is_no_trusted_proxy_is_the_client() {
        const XFF: &str = "x-forwarded-for";
        for (peer, lines, address, is_proxy) in [
            ("192.0.2.1", &[][..], "192.0.2.1", false),
            // Not a proxy that is known: what it says is not believed.
            ("192.0.2.1", &[(XFF, "203.0.113.9")], "192.0.2.1", true),
            (
                "127.0.0.1",
                &[("forwarded", "for=203.0.113.9")],
                "127.0.0.1",
                true,
            ),
            ("10.0.0.1", &[], "10.0.0.1", false),
            (
                "::ffff:10.0.0.1",
                &[(XFF, "203.0.113.9")],
                "203.0.113.9",
                false,
            ),
            // What stands further left was sent by the client.
            (
                "10.0.0.1",
                &[(XFF, "127.0.0.1, 203.0.113.9, 10.0.0.7")],
                "203.0.113.9",
                false,
            ),
            (
                "10.0.0.1",
                &[(XFF, "127.0.0.1"), (XFF, "203.0.113.9")],
                "203.0.113.9",
                false,
            ),
            ("10.0.0.1", &[(XFF, "10.9.9.9")], "10.9.9.9", false),
            (
                "fd00::1",
                &[(XFF, "[2001:db8::5]:4711")],
                "2001:db8::5",
                false,
            ),
            ("10.0.0.1", &[(XFF, "203.0.113.9:80")], "203.0.113.9", false),
            // A hop that hides itself is not looked behind.
            ("10.0.0.1", &[(XFF, "127.0.0.1, unknown")], "10.0.0.1", true),
            ("10.0.0.1", &[(XFF, "127.0.0.1, ")], "10.0.0.1", true),
            // The other header is a client's own word.
            (
                "10.0.0.1",
                &[("forwarded", "for=127.0.0.1")],
                "10.0.0.1",
                true,
            ),
        ] {
            let found = client(ForwardedHeader::XForwardedFor, peer, lines);
            assert_eq!(found, (address.to_owned(), is_proxy), "{peer} {lines:?}");
        }
    }

    #[test]
    fn the_standards_header_is_read_where_it_is_wanted() {
        const NAME: &str = "forwarded";
        for (lines, address, is_proxy) in [
            (
                &[(NAME, "for=192.0.2.60;proto=http;by=203.0.113.43")][..],
                "192.0.2.60",
                false,
            ),
            (
                &[(NAME, "proto=https; For=\"[2001:db8:cafe::17]:4711\"")],
                "2001:db8:cafe::17",
                false,
            ),
            (
                &[(NAME, "for=127.0.0.1, for=198.51.100.17")],
                "198.51.100.17",
                false,
            ),
            (&[(NAME, "for=127.0.0.1, for=_hidden")], "10.0.0.1", true),
            (&[(NAME, "for=127.0.0.1, by=10.0.0.9")], "10.0.0.1", true),
            (&[("x-forwarded-for", "127.0.0.1")], "10.0.0.1", true),
        ] {
            let found = client(ForwardedHeader::Forwarded, "10.0.0.1", lines);
            assert_eq!(found, (address.to_owned(), is_proxy), "{lines:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_hide_nothing_but_themselves() {
        let mut headers = HeaderMap::new();
        let line = http::HeaderValue::from_bytes(b"\xff, 203.0.113.9").unwrap();
        headers.append(X_FORWARDED_FOR, line);
        let peer = SocketAddr::from(([10, 0, 0, 1], 1));
        let found = proxies(ForwardedHeader::XForwardedFor).client(peer, &headers);
        assert_eq!(
            (found.address.to_string().as_str(), found.is_proxy),
            ("203.0.113.9", false)
        );
        headers.insert(
            X_FORWARDED_FOR,
            http::HeaderValue::from_bytes(b"\xff").unwrap(),
        );
        let found = proxies(ForwardedHeader::XForwardedFor).client(peer, &headers);
        assert!(found.is_proxy, "what is behind the proxy is not known");
    }

    #[test]
    fn a_header_without_end_costs_bounded_work() {
        let long = vec!["10.0.0.2"; 5000].join(",");
        let line = format!("203.0.113.9,{long}");
        let found = client(
            ForwardedHeader::XForwardedFor,
            "10.0.0.1",
            &[("x-forwarded-for", &line)],
        );
        assert_eq!(found.0, "10.0.0.2");
    }
}
