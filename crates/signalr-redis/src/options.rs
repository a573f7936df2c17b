//! Where Redis is, and how long anything there may take.
//!
//! Owns the two notations in which people have that: a URL, and the
//! configuration string of StackExchange.Redis, which .NET servers use. A
//! password is in neither an error nor the `Debug` text.

mod stack_exchange;
mod url;

use std::{str::FromStr, time::Duration};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};

/// How to reach a Redis server. Made by [`str::parse`]:
///
/// ```
/// use signalr_redis::RedisOptions;
///
/// let url: RedisOptions = "rediss://hub:secret@redis.example.com:6380/0".parse()?;
/// let dotnet: RedisOptions =
///     "redis.example.com:6380,user=hub,password=secret,ssl=true,channelPrefix=Shop:".parse()?;
/// assert_eq!(url.address(), dotnet.address());
/// assert_eq!(dotnet.channel_prefix, "Shop:");
/// assert!(!format!("{dotnet:?}").contains("secret"));
/// # Ok::<(), signalr_redis::OptionsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// A host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the connection is encrypted. The server's certificate must be
    /// valid for `host`.
    pub tls: bool,
    /// The authority that signed the server's certificate, as PEM, where it is
    /// none that the system trusts.
    pub ca_certificate: Option<String>,
    /// The user, where it is not Redis' default one.
    pub user: Option<String>,
    /// The password.
    pub password: Option<SecretString>,
    /// The database for keys. Channels are the same in all of them.
    pub database: u32,
    /// Stands before the name of every channel; StackExchange's `channelPrefix`.
    pub channel_prefix: String,
    /// By which Redis lists this client.
    pub client_name: Option<String>,
    /// Until a connection is ready to be used.
    pub connect_timeout: Duration,
    /// Until a command is answered.
    pub command_timeout: Duration,
    /// Between two signs of life that are asked for. A server that gives none
    /// for as long again is taken for dead.
    pub ping_interval: Duration,
    /// The longest pause between two attempts to connect; the first is of a
    /// tenth of a second, and each is up to half as long again at random.
    pub longest_pause: Duration,
}

impl RedisOptions {
    /// Those of a server at `host` and `port`, with everything else by default.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            tls: false,
            ca_certificate: None,
            user: None,
            password: None,
            database: 0,
            channel_prefix: String::new(),
            client_name: None,
            connect_timeout: Duration::from_secs(5),
            command_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(3),
            longest_pause: Duration::from_secs(5),
        }
    }

    /// Host and port: what may be shown.
    #[must_use]
    pub fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether a connection can be tried with these.
    ///
    /// # Errors
    /// [`OptionsError`] says what is wrong.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.client().map(drop)
    }

    /// The client that connects there.
    pub(crate) fn client(&self) -> Result<redis::Client, OptionsError> {
        let address = match self.tls {
            true => redis::ConnectionAddr::TcpTls {
                host: self.host.clone(),
                port: self.port,
                insecure: false,
                tls_params: None,
            },
            false => redis::ConnectionAddr::Tcp(self.host.clone(), self.port),
        };
        // RESP3: commands, subscriptions and pings share one connection.
        let mut settings = redis::RedisConnectionInfo::default()
            .set_protocol(redis::ProtocolVersion::RESP3)
            .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .set_db(self.database.into());
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password.expose_secret());
        }
        let info = redis::IntoConnectionInfo::into_connection_info(address)
            .map_err(|_| OptionsError::Address)?
            .set_redis_settings(settings);
        let client = match &self.ca_certificate {
            Some(pem) if !has_certificate(pem) => return Err(OptionsError::Certificate),
            Some(pem) if self.tls => redis::Client::build_with_tls(
                info,
                redis::TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.clone().into_bytes()),
                },
            ),
            _ => redis::Client::open(info),
        };
        client.map_err(|_| match self.ca_certificate {
            Some(_) => OptionsError::Certificate,
            None => OptionsError::Address,
        })
    }
}

/// An authority file without any would trust nobody, and say so only when
/// connecting.
fn has_certificate(pem: &str) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(pem.as_bytes());
    certificates.next().is_some_and(|first| first.is_ok())
}

/// What is wrong with a text that should say where Redis is. Never shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// There is no usable host and port in it.
    #[error("expected redis://host:port, rediss://host:port or host:port,option=value")]
    Address,
    /// It is a URL of another kind.
    #[error("expected the scheme redis or rediss")]
    Scheme,
    /// Several servers are named.
    #[error("names several servers; one is needed, whatever stands behind it")]
    SeveralServers,
    /// An option that there is not, by its place behind the host. Its name is
    /// not shown: behind a password with a comma it is a piece of that.
    #[error("option number {0} is not known; a value cannot hold a comma")]
    UnknownOption(usize),
    /// An option whose value makes no sense.
    #[error("the option {option:?} should be {expected}")]
    Value {
        /// Which.
        option: &'static str,
        /// What would.
        expected: &'static str,
    },
    /// The authority's certificate is none.
    #[error("the certificate is no PEM that can be used")]
    Certificate,
}

impl FromStr for RedisOptions {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Self, OptionsError> {
        let text = text.trim();
        match text.contains("://") {
            true => url::parse(text),
            false => stack_exchange::parse(text),
        }
    }
}

/// `host`, `host:port`, `[::1]:port`; a lone IPv6 address has no port.
fn host_and_port(text: &str, default: u16) -> Result<(String, u16), OptionsError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(OptionsError::Address)?;
        match rest {
            "" => (host, None),
            _ => (
                host,
                Some(rest.strip_prefix(':').ok_or(OptionsError::Address)?),
            ),
        }
    } else if text.matches(':').count() > 1 {
        (text, None)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let usable = |c: char| c.is_ascii_graphic() && !"/?#@,=%\"'<>\\".contains(c);
    if host.is_empty() || !host.chars().all(usable) {
        return Err(OptionsError::Address);
    }
    let port = match port {
        None => default,
        Some(port) => port.parse().map_err(|_| OptionsError::Address)?,
    };
    match port {
        0 => Err(OptionsError::Address),
        port => Ok((host.to_owned(), port)),
    }
}

#[cfg(test)]
mod tests;
