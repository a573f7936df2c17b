//! Shape and amount of the logs. Starting them is each service's own.

use serde::Deserialize;

/// Shape and amount of the logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Text for people, JSON for machines.
    pub format: LogFormat,
    /// In the syntax of `RUST_LOG`.
    pub filter: String,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
