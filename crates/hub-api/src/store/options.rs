//! What a store is opened with, and the bounds that it keeps.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{clock::Clock, error::StoreError};

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Location {
    /// A SQLite file; made where it is missing. Its folder must exist.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(PostgresAddress),
}

impl Location {
    /// Reads `postgres://`, `postgresql://` and `sqlite:` addresses.
    ///
    /// # Errors
    /// [`StoreError::Address`], which never shows the address: it may hold a password.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let wrong = |what| StoreError::Address { what };
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let path = path.split('?').next().unwrap_or_default();
            if path.is_empty() || path == ":memory:" {
                return Err(wrong(
                    "a sqlite: address names a file, such as sqlite:data/tendril.db",
                ));
            }
            return Ok(Self::Sqlite(path.into()));
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(wrong(
                "it starts with postgres://, postgresql:// or sqlite:",
            ));
        }
        // sqlx logs a parameter that it does not know, with its value.
        if !has_known_parameters(url) {
            return Err(wrong(
                "it has a parameter that is not known; known are sslmode, sslrootcert, sslcert, \
                 sslkey, host, hostaddr, port, dbname, user, password, application_name, options",
            ));
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| {
            wrong("it reads postgres://user:password@host:5432/database?sslmode=verify-full")
        })?;
        if matches!(options.get_ssl_mode(), PgSslMode::Allow) {
            return Err(wrong(
                "sslmode=allow prefers plain text: it is require, verify-ca, verify-full, \
                 prefer or, in a private network, disable",
            ));
        }
        Ok(Self::Postgres(PostgresAddress(Box::new(options))))
    }
}

fn has_known_parameters(url: &str) -> bool {
    const KNOWN: [&str; 18] = [
        "sslmode",
        "ssl-mode",
        "sslrootcert",
        "ssl-root-cert",
        "ssl-ca",
        "sslcert",
        "ssl-cert",
        "sslkey",
        "ssl-key",
        "statement-cache-capacity",
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "password",
        "application_name",
        "options",
    ];
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let mut pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.all(|pair| {
        let key = pair.split('=').next().unwrap_or_default();
        KNOWN.contains(&key) || key.starts_with("options[")
    })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite file {}", path.display()),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

/// How to reach a PostgreSQL server. It never shows the password.
#[derive(Clone)]
pub struct PostgresAddress(Box<PgConnectOptions>);

impl PostgresAddress {
    pub(in crate::store) fn options(&self) -> &PgConnectOptions {
        &self.0
    }

    /// Says so where passwords and notifications may cross a public network as
    /// plain text.
    pub(in crate::store) fn warn_of_plain_text(&self) {
        let encrypts = matches!(
            self.0.get_ssl_mode(),
            PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull
        );
        if !encrypts && self.0.get_socket().is_none() && !is_private(self.0.get_host()) {
            tracing::warn!(
                host = self.0.get_host(),
                "store.plain_text: the connection to the database may be plain text; \
                 add sslmode=verify-full to its address"
            );
        }
    }
}

/// True for an address of a private network, and for a name that only such a
/// network knows.
fn is_private(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        Err(_) => !host.contains('.') || host.ends_with(".internal") || host.ends_with(".local"),
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.0.get_host(), self.0.get_port());
        let database = self.0.get_database().unwrap_or("(the user's)");
        write!(f, "PostgreSQL at {host}:{port}, database {database}")
    }
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where the database is.
    pub location: Location,
    /// What the time is read from. PostgreSQL's own clock takes the place of
    /// the machine's, so that all hubs go by one.
    pub clock: Clock,
    /// Connections for reading.
    pub readers: u32,
    /// Attempts that a job has.
    pub max_attempts: u32,
    /// How long after its upload an analysis is given up.
    pub job_deadline: Duration,
    /// How long leases live at least after the store is opened: while it was
    /// closed no worker could lengthen its own, and a worker whose breaker is
    /// open does not look at once.
    pub lease_grace: Duration,
    /// Writes of one kind that may wait for the writer.
    pub queue_capacity: usize,
    /// How long a caller waits: for room in the queue, for a reader, for an answer.
    pub patience: Duration,
}

impl StoreOptions {
    /// The defaults, on the SQLite file at `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self::on(Location::Sqlite(path.into()))
    }

    /// The defaults, on the database at `location`.
    #[must_use]
    pub fn on(location: Location) -> Self {
        Self {
            location,
            clock: Clock::system(),
            readers: 4,
            max_attempts: 3,
            job_deadline: Duration::from_secs(60 * 60),
            lease_grace: Duration::from_secs(60),
            queue_capacity: 4096,
            patience: Duration::from_secs(5),
        }
    }
}

/// A client may repeat a request for a day.
pub(in crate::store) const IDEMPOTENCY_AT_LEAST: Duration = Duration::from_secs(24 * 60 * 60);

/// What [`purge`](super::Store::purge) may delete.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Idempotency keys are kept this long; less than 24 hours counts as 24 hours.
    pub idempotency: Duration,
    /// Log entries are kept this long.
    pub log: Duration,
    /// A stream keeps at most this many entries; 0 sets no such bound.
    pub entries_per_stream: u32,
    /// At most this many rows of each kind in one call.
    pub batch: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            idempotency: IDEMPOTENCY_AT_LEAST,
            log: Duration::from_secs(90 * 24 * 60 * 60),
            entries_per_stream: 0,
            batch: 500,
        }
    }
}

/// What [`purge`](super::Store::purge) deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Idempotency keys.
    pub idempotency_keys: u64,
    /// Lines of the timelines of analyses.
    pub timeline_lines: u64,
    /// Log entries.
    pub log_entries: u64,
    /// A batch was full: call again.
    pub more: bool,
}

/// How the database's connections and writes stand.
#[derive(Debug, Clone, Copy, Default)]
pub struct PoolFigures {
    /// Connections for reading that are open.
    pub open: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
    /// The most that there may be.
    pub most: u32,
    /// Writes that wait for the writer.
    pub queued_writes: usize,
}

/// How the store is.
#[derive(Debug, Clone, Copy)]
pub struct StoreHealth {
    /// How long a read took.
    pub read: Duration,
    /// False once the writer has ended.
    pub writer_alive: bool,
    /// Writes that wait for the writer.
    pub queued_writes: usize,
    /// True while the database answers and has lately refused to write: its
    /// disk is full, say, or another process keeps it locked.
    pub refuses_writes: bool,
}
