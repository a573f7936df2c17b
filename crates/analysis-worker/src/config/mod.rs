//! The worker's settings: their types, and how they are read.
//!
//! Embedded defaults, then files, then the environment ([`Config::load`]);
//! everything is checked before the worker starts. This module never prints a
//! secret, and nothing outside it reads the environment.

mod load;
mod environment;
mod check;

use std::{fmt, path::PathBuf, time::Duration};

use broker::BrokerConfig;
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;
use settings::duration;

pub use settings::{
    ConfigError, Effective, Environment, LogConfig, LogFormat, Problem, Problems, Sources,
};

/// Every setting of the worker. The file `config/analysis-worker.toml` documents each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How strict the checks are.
    pub environment: Environment,
    /// Where a hub on the same machine keeps development's secrets.
    pub data_dir: PathBuf,
    /// The hub's internal routes.
    pub hub: HubConfig,
    /// Slots and times of jobs.
    pub worker: WorkerConfig,
    /// The broker that brings jobs, where there is one.
    pub rabbitmq: BrokerConfig,
    /// Photos that come as an address.
    pub photo: PhotoConfig,
    /// The n8n analyser.
    pub n8n: N8nConfig,
    /// The health server.
    pub server: ServerConfig,
    /// Shape and amount of the logs.
    pub log: LogConfig,
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
}

/// The hub's internal routes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubConfig {
    /// Their address, up to where `/internal` begins.
    #[serde(default)]
    pub base_url: Option<Address>,
    /// The shared secret.
    #[serde(default)]
    pub secret: Option<SecretString>,
    /// Until a call is answered.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long it stays open.
    #[serde(with = "duration")]
    pub breaker_pause: Duration,
}

/// Slots and times of jobs.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Jobs at the same time; 0 chooses.
    pub concurrency: u32,
    /// How long a request for jobs waits at the hub.
    #[serde(with = "duration")]
    pub poll: Duration,
    /// How long jobs may still run after SIGTERM.
    #[serde(with = "duration")]
    pub grace: Duration,
    /// The built-in analyser's time for one photo.
    #[serde(with = "duration")]
    pub analysis_timeout: Duration,
}

/// Photos that come as an address.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhotoConfig {
    /// Until the photo is here.
    #[serde(with = "duration")]
    pub fetch_timeout: Duration,
}

/// The n8n analyser.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct N8nConfig {
    /// The Webhook node's production address; without it the built-in analyser works.
    #[serde(default)]
    pub webhook_url: Option<Address>,
    /// The header of the Webhook node's authentication.
    pub auth_header: String,
    /// Its value; without it no such header is sent.
    #[serde(default)]
    pub auth_secret: Option<SecretString>,
    /// Until the connection stands.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// Between two pieces of the answer.
    #[serde(with = "duration")]
    pub read_timeout: Duration,
    /// From the call to the end of the answer.
    #[serde(with = "duration")]
    pub total_timeout: Duration,
    /// How long a job waits for an answer at `resultUrl`.
    #[serde(with = "duration")]
    pub park: Duration,
    /// The longest answer, unpacked.
    pub max_answer_bytes: usize,
}

/// The health server.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Its port; 0 takes a free one.
    pub port: u16,
}

/// An `http` or `https` address. It may hold a password or a key in its path,
/// so that neither its `Debug` nor its `Display` shows more than the origin.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// The whole address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Url::parse(text.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("expected an address with http:// or https://"))
    }
}
