//! Shape and amount of the logs. Starting them is each service's own.

use serde::Deserialize;

use crate::{Kind::Text, Variable};

impl LogConfig {
    /// The variables of the section `[log]`.
    pub const VARIABLES: &[Variable] = &[
        ("Log__Format", "log.format", Text),
        ("RUST_LOG", "log.filter", Text),
        ("Log__Filter", "log.filter", Text),
    ];
}

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
