//! The hub's settings: their types, and how they are read.
//!
//! Embedded defaults, then files, then the environment (`load`); everything
//! is checked before the hub starts (`check`). This module never prints a
//! secret, and nothing outside it reads the environment.

mod load;
mod environment;
mod secrets;
mod check;
mod numbers;
mod nodes;

use std::{path::PathBuf, time::Duration};

use broker::BrokerConfig;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use settings::duration;

use crate::{
    auth::ForwardedHeader,
    store::{Location, StoreError},
};

pub use load::ConfigError;
pub use nodes::{NodesConfig, RedisConfig};
pub use settings::{Effective, Environment, LogConfig, LogFormat, Problem, Problems, Sources};

/// Every setting of the hub. The file `config/hub-api.toml` documents each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How strict the checks are.
    pub environment: Environment,
    /// Holds the database, the images and development's secrets.
    pub data_dir: PathBuf,
    /// Where the outside world reaches this hub; no slash at its end.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Listening, limits and timeouts of the HTTP server.
    pub server: ServerConfig,
    /// Where analyses, jobs and the log are.
    pub database: DatabaseConfig,
    /// How the hub leaves.
    pub drain: DrainConfig,
    /// Who may be believed.
    pub jwt: JwtConfig,
    /// The guard of internal routes.
    pub internal: InternalConfig,
    /// What one user, and one denied source, may do.
    pub limits: LimitsConfig,
    /// Limits of an uploaded photo.
    pub upload: UploadConfig,
    /// Links to images, and where they may come from.
    pub images: ImagesConfig,
    /// The bucket of images, in place of the local folder.
    pub s3: S3Config,
    /// Leases and attempts.
    pub jobs: JobsConfig,
    /// The broker that brings jobs to workers, where there is one.
    pub rabbitmq: BrokerConfig,
    /// How the broker is told of jobs.
    pub relay: RelayConfig,
    /// The hub's SignalR limits.
    pub signalr: SignalRConfig,
    /// By which several hubs act as one.
    pub redis: RedisConfig,
    /// What hubs do that share a database.
    pub nodes: NodesConfig,
    /// Names and retention of notifications.
    pub notifications: NotificationsConfig,
    /// What confirms a notification.
    pub receipts: ReceiptsConfig,
    /// Origins that browsers may call from.
    pub cors: CorsConfig,
    /// What can be turned while the hub runs, as it is at the start.
    pub switches: SwitchConfig,
    /// Shape and amount of the logs.
    pub log: LogConfig,
    /// Where all this was read, to read it again; none where it was not read.
    #[serde(skip)]
    pub sources: Option<Sources>,
}

impl Config {
    /// Reads the settings of this process.
    ///
    /// # Errors
    /// [`ConfigError`] names each key that is wrong and where its value came from.
    pub fn load() -> Result<Self, ConfigError> {
        load::load(&Sources::of_process())
    }

    /// Reads the settings from given sources, so that a test has its own.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_from(sources: &Sources) -> Result<Self, ConfigError> {
        load::load(sources)
    }

    /// The settings from given sources as they are in effect, fit to be shown,
    /// and what is wrong with them.
    ///
    /// # Errors
    /// [`ConfigError`] when they cannot be read at all.
    pub fn effective(sources: &Sources) -> Result<(Effective, Option<ConfigError>), ConfigError> {
        load::effective(sources)
    }

    /// Where the database is: `database.url`, or else a SQLite file in the
    /// data folder.
    ///
    /// # Errors
    /// [`StoreError::Address`] where `database.url` is none.
    pub fn database_location(&self) -> Result<Location, StoreError> {
        match &self.database.url {
            Some(url) => Location::parse(url.expose_secret()),
            None => Ok(Location::Sqlite(self.data_dir.join("tendril.db"))),
        }
    }

    /// The folder of the local image store.
    #[must_use]
    pub fn images_dir(&self) -> PathBuf {
        self.data_dir.join("images")
    }
}

/// What can be turned while the hub runs, as it is at the start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchConfig {
    /// Whether clients' hubs are served.
    #[serde(deserialize_with = "settings::yes_or_no")]
    pub enable_signalr: bool,
    /// Whether the unified stream is served.
    #[serde(deserialize_with = "settings::yes_or_no")]
    pub realtime_streaming_v2: bool,
    /// The share of users who are served live, 0 to 100.
    pub realtime_rollout_percent: u8,
    /// Users who are served live whatever the share.
    pub rollout_allow_list: Vec<String>,
}

/// A worker may wait this long for a job, in seconds.
pub const LONGEST_LEASE_WAIT: u32 = 30;

/// Listening, limits and timeouts of the HTTP server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// The public port; 0 takes a free one.
    pub port: u16,
    /// The port of internal routes, where they have their own.
    #[serde(default)]
    pub internal_port: Option<u16>,
    /// Open connections of a listener.
    pub max_connections: usize,
    /// Addresses and networks of proxies that are believed.
    pub trusted_proxies: Vec<String>,
    /// In which header they say for whom they call.
    pub forwarded_header: ForwardedHeader,
    /// Until a connection's first byte.
    #[serde(with = "duration")]
    pub first_byte_timeout: Duration,
    /// Until a request's head is complete.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    /// Between two requests.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// Between two pieces of a request's body.
    #[serde(with = "duration")]
    pub body_idle_timeout: Duration,
    /// Until a request is answered.
    #[serde(with = "duration")]
    pub request_timeout: Duration,
    /// Until an upload is answered.
    #[serde(with = "duration")]
    pub upload_timeout: Duration,
}

impl ServerConfig {
    /// Until an internal call is answered: a lease waits on purpose, and must
    /// not be cut off however short other requests are.
    #[must_use]
    pub fn internal_timeout(&self) -> Duration {
        const ROOM: Duration = Duration::from_secs(10);
        let longest_wait = Duration::from_secs(LONGEST_LEASE_WAIT.into());
        self.request_timeout
            .saturating_mul(2)
            .max(longest_wait + ROOM)
    }
}

/// Where analyses, jobs and the log are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Its address, which may hold a password; none means the file in the data folder.
    #[serde(default)]
    pub url: Option<SecretString>,
    /// Connections for reading.
    pub pool_size: u32,
}

/// How the hub leaves.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainConfig {
    /// Serves on for this long after readiness fails.
    #[serde(with = "duration")]
    pub delay: Duration,
    /// Then clients are told to reconnect, spread over this time.
    #[serde(with = "duration")]
    pub spread: Duration,
    /// Then requests under way have this long.
    #[serde(with = "duration")]
    pub grace: Duration,
}

/// Who may be believed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// The HS256 secret.
    #[serde(default)]
    pub secret: Option<SecretString>,
    /// One that is being replaced.
    #[serde(default)]
    pub previous_secret: Option<SecretString>,
    /// Public keys in PEM, one after the other.
    #[serde(default)]
    pub public_key: Option<String>,
    /// Where an issuer publishes its keys.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Between two looks there.
    #[serde(with = "duration")]
    pub jwks_refresh: Duration,
    /// The least time between two looks that unknown keys cause.
    #[serde(with = "duration")]
    pub jwks_cooldown: Duration,
    /// The only issuer that is accepted.
    #[serde(default)]
    pub issuer: Option<String>,
    /// The audience that a token must be for.
    #[serde(default)]
    pub audience: Option<String>,
    /// Tolerated difference of clocks.
    #[serde(with = "duration")]
    pub leeway: Duration,
}

/// The guard of internal routes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InternalConfig {
    /// The shared secret.
    #[serde(default)]
    pub secret: Option<SecretString>,
    /// One that is being replaced.
    #[serde(default)]
    pub previous_secret: Option<SecretString>,
    /// Addresses and networks that may call; empty for no restriction.
    pub allowed_ips: Vec<String>,
    /// A minute, for a source that is not on the list.
    pub requests_per_minute: u32,
    /// A minute, for each source.
    pub wrong_secrets_per_minute: u32,
    /// Lease calls that may wait at the same time.
    pub max_waiting_leases: usize,
}

/// What one user, and one denied source, may do in a minute.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Uploads of a user; 0 sets no bound.
    pub uploads_per_minute: u32,
    /// Calls of the hub's methods by a user; 0 sets no bound.
    pub invocations_per_minute: u32,
    /// Attempts without a good token of one source, before it is told to wait.
    pub denied_per_minute: u32,
}

/// Limits of an uploaded photo.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadConfig {
    /// The photo's bytes.
    pub max_bytes: usize,
    /// Width times height.
    pub max_pixels: u64,
    /// Bytes of memory for all uploads together.
    pub max_memory: usize,
}

/// Links to images, and where they may come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesConfig {
    /// Hosts of `imageUrl`.
    pub allowed_hosts: Vec<String>,
    /// At least this long a signed link opens.
    #[serde(with = "duration")]
    pub link_lifetime: Duration,
}

/// The bucket of images, in place of the local folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The bucket; without it images are in `data_dir`.
    #[serde(default)]
    pub bucket: Option<String>,
    /// The store's address; none for AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: String,
    /// Names the key.
    #[serde(default)]
    pub access_key: Option<String>,
    /// The key.
    #[serde(default)]
    pub secret_key: Option<SecretString>,
    /// Before the names of all objects.
    pub prefix: String,
}

/// Leases and attempts.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsConfig {
    /// A lease's life without a heartbeat.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// Attempts of a job.
    pub max_attempts: u32,
    /// A job's life.
    #[serde(with = "duration")]
    pub deadline: Duration,
}

/// How the broker is told of jobs.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// Messages that wait for their confirm at the same time.
    pub in_flight: u32,
    /// Until a message is confirmed.
    #[serde(with = "duration")]
    pub confirm_timeout: Duration,
    /// A job that nobody claimed by then is announced again.
    #[serde(with = "duration")]
    pub republish_after: Duration,
}

/// The hub's SignalR limits.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalRConfig {
    /// Connections of one user.
    pub max_connections_per_user: usize,
    /// Between two pings of the server.
    #[serde(with = "duration")]
    pub keep_alive_interval: Duration,
    /// Until a silent client counts as gone.
    #[serde(with = "duration")]
    pub connection_timeout: Duration,
    /// Closes a connection whose token expires; it may come back with a new one.
    #[serde(deserialize_with = "settings::yes_or_no")]
    pub close_on_token_expiry: bool,
}

/// Names and retention of notifications.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationsConfig {
    /// Which names of the events are sent.
    pub event_names: EventNames,
    /// How long the log keeps an entry.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// How many entries the log keeps of a user; 0 sets no bound.
    pub max_per_user: u32,
}

/// Which names of the analysis events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventNames {
    /// `ReceiveAnalysisCompleted` and so on.
    Receive,
    /// `AnalysisCompleted` and so on, the older names.
    Plain,
    /// Each event under both names.
    Both,
}

/// What confirms a notification.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptsConfig {
    /// What confirms a notification.
    pub confirm: Confirm,
}

/// What confirms a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirm {
    /// The WebSocket Pong to a Ping frame behind it, beside `Acknowledge`.
    Pong,
    /// Everything but Pongs, which some proxies answer themselves: `Acknowledge`,
    /// `Resume`, polls and, over Server-Sent Events, the client's messages.
    Acknowledge,
}

/// Origins that browsers may call from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsConfig {
    /// Exact origins, e.g. `https://app.example.com`.
    pub allowed_origins: Vec<String>,
}
