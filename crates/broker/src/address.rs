//! The broker's address. It holds a password, so that it is shown without it
//! and no error repeats what was given.

use std::fmt;

use lapin::uri::{AMQPScheme, AMQPUri};

/// `amqp://user:password@host:port/vhost`, or `amqps://`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(AMQPUri);

/// Why an address cannot be used. Never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Some template's variable was left as it stood.
    #[error("it is a ${{..}} that nothing replaced")]
    Literal,
    /// Another protocol.
    #[error("expected an address that begins with amqp:// or amqps://")]
    Scheme,
    /// Anything else.
    #[error("expected an address such as amqp://user:password@host:5672/vhost")]
    Unreadable,
}

impl Address {
    /// Reads an address.
    ///
    /// No virtual host, or a slash alone, means `/`, the broker's default: the
    /// AMQP URI specification takes the latter for a virtual host without a
    /// name, which nobody has and many write.
    ///
    /// # Errors
    /// [`AddressError`], which never repeats the address.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.contains("${") {
            return Err(AddressError::Literal);
        }
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        if !["amqp", "amqps"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(AddressError::Scheme);
        }
        let mut uri: AMQPUri = text.parse().map_err(|_| AddressError::Unreadable)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        if host.is_empty() || host.starts_with(':') {
            return Err(AddressError::Unreadable);
        }
        // The parser takes an IPv6 address for no host, and no host for localhost.
        if let Some((ipv6, _)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            ipv6.clone_into(&mut uri.authority.host);
        }
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        Ok(Self(uri))
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }

    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        (&self.0.authority.host, self.0.authority.port)
    }

    /// For lapin; where the address itself asks for a heartbeat, that counts.
    pub(crate) fn to_uri(&self, heartbeat: u16) -> AMQPUri {
        let mut uri = self.0.clone();
        uri.query.heartbeat.get_or_insert(heartbeat);
        uri
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri {
            scheme,
            authority,
            vhost,
            ..
        } = &self.0;
        let (user, host, port) = (
            &authority.userinfo.username,
            &authority.host,
            authority.port,
        );
        let vhost = vhost.trim_start_matches('/');
        if host.contains(':') {
            write!(f, "{scheme}://{user}@[{host}]:{port}/{vhost}")
        } else {
            write!(f, "{scheme}://{user}@{host}:{port}/{vhost}")
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Address::parse(text).map_or_else(|error| format!("{error:?}"), |a| a.to_string())
    }

    #[test]
    fn addresses_are_read_and_shown_without_their_password() {
        for (text, expected) in [
            (
                "amqp://me:hidden@rabbit:5673/prod",
                "amqp://me@rabbit:5673/prod",
            ),
            (
                "amqps://me:hidden@rabbit/prod",
                "amqps://me@rabbit:5671/prod",
            ),
            ("AMQP://rabbit", "amqp://guest@rabbit:5672/"),
            ("amqp://rabbit/", "amqp://guest@rabbit:5672/"),
            ("amqp://rabbit/%2f", "amqp://guest@rabbit:5672/"),
            (
                "amqp://a%40b:hid%2Fden@127.0.0.1:1",
                "amqp://a@b@127.0.0.1:1/",
            ),
            (
                "amqp://me:hidden@[fd12::1]:5672/x",
                "amqp://me@[fd12::1]:5672/x",
            ),
        ] {
            assert_eq!(shown(text), expected);
            let address = Address::parse(text).unwrap();
            assert!(!format!("{address:?}").contains("hidden"));
        }
        assert_eq!(
            Address::parse("amqp://[fd12::1]").unwrap().host_and_port(),
            ("fd12::1", 5672)
        );
        assert_eq!(Address::parse("amqp://h/").unwrap().0.vhost, "/");
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in [
            "",
            "hidden",
            "http://me:hidden@rabbit/",
            "amqp://",
            "amqp://:5672/hidden",
            "amqp://me:hidden@rabbit:port/",
            "${hidden}",
            "amqp://me:hidden@rabbit:99999",
            "amqp://rabbit?heartbeat=hidden",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hidden"), "{text}");
        }
    }
}
