//! What makes a setting unsafe or impossible, and how it is told: all problems
//! at once, each with its key, its variable and its source, never with a secret.

use std::{fmt, time::Duration};

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Config, environment};

/// Shorter secrets can be guessed.
const SHORTEST_SECRET: usize = 32;

/// Texts of examples and templates that end up in production by mistake.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "your-secret",
    "your_secret",
    "yoursecret",
    "placeholder",
    "generate_secure",
    "generate-secure",
    "same_secret_as",
    "example-secret",
];

/// One setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, e.g. `hub.secret`.
    pub key: String,
    /// What is wrong with it and what is accepted.
    pub what: String,
    /// Where its value came from, where it has one.
    pub source: Option<String>,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            what: what.into(),
            source: None,
        }
    }

    pub(super) fn from(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)?;
        if let Some(source) = &self.source {
            write!(f, " (from {source})")
        } else if let Some(variable) = environment::variable_of(&self.key) {
            write!(f, " (set {variable})")
        } else {
            Ok(())
        }
    }
}

/// All that is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Problem> {
        self.0.iter_mut()
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems, in the order of the settings.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }

    fn add(&mut self, key: &str, what: impl Into<String>) {
        self.push(Problem::new(key, what));
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} setting(s) cannot be used:", self.0.len())?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

/// Finds everything that is wrong with `config`.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    if config.hub.base_url.is_none() {
        problems.add("hub.base_url", "the hub's address is missing");
    }
    let strict = !config.environment.is_development();
    match &config.hub.secret {
        None if strict => problems.add("hub.secret", "the secret shared with the hub is missing"),
        None => problems.add(
            "hub.secret",
            "the secret shared with the hub is missing, and no hub has made one in data_dir yet",
        ),
        Some(secret) => check_secret("hub.secret", secret, strict, problems),
    }
    if let Some(secret) = &config.n8n.auth_secret
        && HeaderValue::from_str(secret.expose_secret()).is_err()
    {
        problems.add(
            "n8n.auth_secret",
            "it holds characters that no HTTP header may hold",
        );
    }
    if let Some(secret) = &config.n8n.auth_secret
        && is_literal(secret.expose_secret())
    {
        problems.add("n8n.auth_secret", "it is a ${..} that nothing replaced");
    }
    if HeaderName::from_bytes(config.n8n.auth_header.as_bytes()).is_err() {
        problems.add("n8n.auth_header", "it is no name of an HTTP header");
    }
    check_ranges(config, problems);
}

fn check_ranges(config: &Config, problems: &mut Problems) {
    if config.worker.concurrency > 1_000 {
        problems.add("worker.concurrency", "at most 1000");
    }
    if config.hub.breaker_failures == 0 {
        problems.add("hub.breaker_failures", "at least 1");
    }
    if !(1_024..=16 * 1_048_576).contains(&config.n8n.max_answer_bytes) {
        problems.add("n8n.max_answer_bytes", "1024 to 16777216");
    }
    let seconds = Duration::from_secs;
    let longest_poll = seconds(30);
    for (key, given, least, most) in [
        ("hub.timeout", config.hub.timeout, seconds(1), seconds(300)),
        (
            "hub.breaker_pause",
            config.hub.breaker_pause,
            Duration::from_millis(10),
            seconds(600),
        ),
        ("worker.poll", config.worker.poll, seconds(1), longest_poll),
        (
            "worker.grace",
            config.worker.grace,
            Duration::ZERO,
            seconds(3_600),
        ),
        (
            "worker.analysis_timeout",
            config.worker.analysis_timeout,
            seconds(1),
            seconds(3_600),
        ),
        (
            "photo.fetch_timeout",
            config.photo.fetch_timeout,
            seconds(1),
            seconds(300),
        ),
        (
            "n8n.connect_timeout",
            config.n8n.connect_timeout,
            Duration::from_millis(10),
            seconds(300),
        ),
        (
            "n8n.read_timeout",
            config.n8n.read_timeout,
            Duration::from_millis(10),
            seconds(3_600),
        ),
        (
            "n8n.total_timeout",
            config.n8n.total_timeout,
            Duration::from_millis(10),
            seconds(3_600),
        ),
        ("n8n.park", config.n8n.park, seconds(1), seconds(86_400)),
    ] {
        if !(least..=most).contains(&given) {
            problems.add(key, format!("{least:?} to {most:?}"));
        }
    }
}

fn check_secret(key: &str, secret: &SecretString, strict: bool, problems: &mut Problems) {
    let text = secret.expose_secret();
    if HeaderValue::from_str(text).is_err() {
        problems.add(key, "it holds characters that no HTTP header may hold");
    }
    if !strict {
        return;
    }
    let lower = text.to_ascii_lowercase();
    if is_literal(text) {
        problems.add(key, "it is a ${..} that nothing replaced");
    } else if PLACEHOLDERS.iter().any(|known| lower.contains(known)) || text.starts_with('<') {
        problems.add(key, "it is the placeholder of an example");
    } else if text.chars().count() < SHORTEST_SECRET {
        problems.add(key, format!("at least {SHORTEST_SECRET} characters"));
    } else if text.chars().all(|c| text.starts_with(c)) {
        problems.add(key, "one character over and over is no secret");
    }
}

/// Whether a template's variable was left as it stood.
fn is_literal(text: &str) -> bool {
    text.contains("${")
}
