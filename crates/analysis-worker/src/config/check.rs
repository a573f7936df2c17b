//! What makes a setting of the worker unsafe or impossible. All problems are
//! told at once, never with a secret.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use settings::{Problems, Strictness};

use super::Config;

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
    if let Some(secret) = &config.n8n.auth_secret {
        problems.check_secret("n8n.auth_secret", secret, Strictness::Lenient);
    }
    if HeaderName::from_bytes(config.n8n.auth_header.as_bytes()).is_err() {
        problems.add("n8n.auth_header", "it is no name of an HTTP header");
    }
    check_ranges(config, problems);
    config.rabbitmq.check(problems);
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
    let strictness = if strict {
        Strictness::Strict
    } else {
        Strictness::Lenient
    };
    problems.check_secret(key, secret, strictness);
}
