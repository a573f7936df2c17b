//! Which addresses of the internet a photo may be fetched from.
//!
//! An uploader chooses the address, and the worker stands inside the private
//! network: so only `https`, only to addresses that IANA's special-purpose
//! registries (RFC 6890) call globally reachable, judged after the name was
//! resolved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Reads an address that an uploader gave, in the canonical spelling: the URL
/// parser makes `127.0.0.1` of `2130706433`, `0x7f.1` and `①②⑦.0.0.1`.
pub(super) fn parse(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it is no address")?;
    if url.scheme() != "https" {
        return Err("only https is fetched");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or password");
    }
    if url.port() == Some(0) {
        return Err("port 0");
    }
    match url.host_str() {
        None | Some("") => Err("it names no host"),
        Some(_) => Ok(url),
    }
}

/// Whether an address is on the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        // An IPv4 address in IPv6's clothes is judged as what it reaches.
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

/// First address and prefix length of what is not globally reachable.
const NOT_PUBLIC_V4: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    !NOT_PUBLIC_V4
        .iter()
        .any(|(first, prefix)| (bits ^ u32::from_be_bytes(*first)) >> (32 - prefix) == 0)
}

/// Only 2000::/3 is handed out at all. What embeds an IPv4 address (6to4,
/// Teredo; NAT64 is outside of it) could reach a private one.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let six_to_four = first == 0x2002;
    let protocol_assignments = first == 0x2001 && second < 0x0200;
    let documentation =
        (first == 0x2001 && second == 0x0db8) || (first == 0x3fff && second < 0x1000);
    global && !six_to_four && !protocol_assignments && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_special_addresses_are_not_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_internet_is_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "3ffe::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn odd_spellings_are_seen_through_or_refused() {
        for text in [
            "http://example.com/a.jpg",
            "file:///etc/passwd",
            "gopher://example.com/",
            "data:image/png;base64,AA==",
            "ftp://example.com/",
            "https://",
            "https://user@example.com/",
            "https://user:pw@example.com/",
            "https://example.com:0/",
            "//example.com/a.jpg",
            "a.jpg",
            "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in [
            "https://2130706433/",
            "https://0x7f.1/",
            "https://127。0。0。1/",
            "https://①②⑦.0.0.1/",
            "https://%31%32%37.0.0.1/",
            "https://0177.0.0.1/",
            "https:\\\\127.0.0.1\\",
            "https://127.1/",
        ] {
            let url = parse(text).unwrap();
            let address: IpAddr = url.host_str().unwrap().parse().unwrap();
            assert!(!is_public(address), "{text}");
        }
    }
}
