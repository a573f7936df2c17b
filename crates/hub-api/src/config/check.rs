//! What makes a setting of the hub unsafe or impossible. All problems are told
//! at once, never with a secret.

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use settings::{Problems, SHORTEST_SECRET, Strictness, is_private_host};

use super::{Config, numbers};
use crate::auth;

/// More connections make no database faster.
const MOST_CONNECTIONS: u32 = 1000;

/// Brings spellings that mean the same into one.
pub(super) fn normalise(config: &mut Config) {
    if let Some(url) = &mut config.public_url {
        url.truncate(url.trim_end_matches('/').len());
    }
    if let Some(key) = &mut config.jwt.public_key {
        // Many places to set a variable keep no line breaks.
        *key = key.replace("\\n", "\n");
    }
    for origin in &mut config.cors.allowed_origins {
        origin.truncate(origin.trim_end_matches('/').len());
        // As browsers write it: host names in lower case and in their ASCII form.
        let written = Url::parse(origin).map(|url| url.origin().ascii_serialization());
        if let Ok(written) = written
            && written != "null"
            && origin.matches('/').count() == 2
        {
            *origin = written;
        }
    }
    for host in &mut config.images.allowed_hosts {
        *host = host.trim_end_matches('.').to_ascii_lowercase();
    }
    for empty in [
        &mut config.jwt.issuer,
        &mut config.jwt.audience,
        &mut config.jwt.public_key,
        &mut config.jwt.jwks_url,
        &mut config.s3.bucket,
        &mut config.s3.endpoint,
        &mut config.s3.access_key,
    ] {
        empty.take_if(|text| text.is_empty());
    }
}

pub(super) fn check(config: &Config, problems: &mut Problems) {
    secrets(config, problems);
    addresses(config, problems);
    database(config, problems);
    bucket(config, problems);
    config.redis.check(problems);
    numbers::check(config, problems);
    config.rabbitmq.check(problems);
    if config.switches.realtime_rollout_percent > 100 {
        problems.add("switches.realtime_rollout_percent", "is above 100");
    }
}

fn secrets(config: &Config, problems: &mut Problems) {
    let strict = !config.environment.is_development();
    let jwt = &config.jwt;
    let others = jwt.public_key.is_some() || jwt.jwks_url.is_some();
    let internal = &config.internal;
    let strictness = if strict {
        Strictness::Strict
    } else {
        Strictness::Lenient
    };
    for (key, value, required) in [
        ("jwt.secret", &jwt.secret, !others),
        ("jwt.previous_secret", &jwt.previous_secret, false),
        ("internal.secret", &internal.secret, true),
        ("internal.previous_secret", &internal.previous_secret, false),
    ] {
        secret(key, value.as_ref(), required, strictness, problems);
    }
    if let Some(pem) = &jwt.public_key
        && let Err(error) = auth::parse_public_keys(pem)
    {
        problems.add("jwt.public_key", error.to_string());
    }
    if let Some(url) = &jwt.jwks_url
        && let Err(what) = keys_address(url, strict)
    {
        problems.add("jwt.jwks_url", what);
    }
    if !strict {
        return;
    }
    for (key, value) in [("jwt.issuer", &jwt.issuer), ("jwt.audience", &jwt.audience)] {
        if value.is_none() {
            problems.add(
                key,
                format!(
                    "is missing: {} accepts no token of unknown origin",
                    config.environment
                ),
            );
        }
    }
    if let (Some(jwt), Some(internal)) = (&jwt.secret, &config.internal.secret)
        && jwt.expose_secret() == internal.expose_secret()
    {
        problems.add(
            "internal.secret",
            "is the same as jwt.secret; a worker must not be able to sign tokens",
        );
    }
}

fn secret(
    key: &str,
    value: Option<&SecretString>,
    required: bool,
    strictness: Strictness,
    problems: &mut Problems,
) {
    match value {
        Some(secret) => problems.check_secret(key, secret, strictness),
        None if required => problems.add(
            key,
            format!("is missing; at least {SHORTEST_SECRET} characters are needed"),
        ),
        None => {}
    }
}

/// Whoever can change the keys on their way can sign tokens, so that they come
/// by https, or over a network of one's own.
fn keys_address(text: &str, strict: bool) -> Result<(), &'static str> {
    let expected = "expected an address such as https://login.example.com/.well-known/jwks.json";
    let url = Url::parse(text).map_err(|_| expected)?;
    let private = url.host_str().is_some_and(is_private_host);
    match url.scheme() {
        "https" => Ok(()),
        "http" if !strict || private => Ok(()),
        "http" => Err("is fetched without encryption; use https"),
        _ => Err(expected),
    }
}

fn addresses(config: &Config, problems: &mut Problems) {
    if let Some(text) = &config.public_url {
        let good = Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if !good {
            problems.add(
                "public_url",
                "expected an address such as https://api.example.com",
            );
        }
    }
    let strict = !config.environment.is_development();
    for (key, listed) in [
        ("internal.allowed_ips", &config.internal.allowed_ips),
        ("server.trusted_proxies", &config.server.trusted_proxies),
    ] {
        for text in listed {
            match auth::parse_network(text) {
                None => problems.add(
                    key,
                    format!("{text:?} is neither an address nor a network such as 10.0.0.0/8"),
                ),
                Some(network) if strict && network.prefix_len() == 0 => {
                    problems.add(key, format!("{text:?} is everyone"));
                }
                Some(_) => {}
            }
        }
    }
    for host in &config.images.allowed_hosts {
        let parsed = Url::parse(&format!("https://{host}/")).ok();
        if parsed.as_ref().and_then(Url::host_str) != Some(host.as_str()) {
            problems.add(
                "images.allowed_hosts",
                format!("{host:?} is no host name such as images.example.com"),
            );
        }
    }
    for origin in &config.cors.allowed_origins {
        // Browsers send an origin of exactly these parts; anything else would never match.
        let good = Url::parse(origin).is_ok_and(|url| {
            let scheme = url.scheme().len();
            origin[scheme..].starts_with("://")
                && !origin[scheme + 3..].contains(['/', '?', '#', '*', '@'])
                && url.has_host()
        });
        if !good {
            problems.add(
                "cors.allowed_origins",
                format!("{origin:?} is no origin such as https://app.example.com"),
            );
        } else if strict && origin.starts_with("http://") && !is_localhost(origin) {
            problems.add(
                "cors.allowed_origins",
                format!("{origin:?} can be changed by anybody on its way; use https"),
            );
        }
    }
}

/// Apps in a web view have this origin.
fn is_localhost(origin: &str) -> bool {
    Url::parse(origin).is_ok_and(|url| url.host_str() == Some("localhost"))
}

/// A bucket needs everything that opens it; a half-given one would silently
/// leave the images on a disk that no other hub sees.
fn bucket(config: &Config, problems: &mut Problems) {
    let s3 = &config.s3;
    let secret = s3.secret_key.as_ref().map(SecretString::expose_secret);
    let given = [
        ("s3.bucket", s3.bucket.as_deref()),
        ("s3.access_key", s3.access_key.as_deref()),
        ("s3.secret_key", secret),
    ];
    let wanted = s3.endpoint.is_some() || given.iter().any(|(_, value)| value.is_some());
    for (key, value) in given {
        if wanted && value.is_none_or(str::is_empty) {
            problems.add(key, "is missing, while other settings of s3 are given");
        }
    }
    if wanted && s3.region.is_empty() {
        problems.add(
            "s3.region",
            "is empty; stores without regions take us-east-1",
        );
    }
    let address = |text: &str| {
        Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
        })
    };
    if s3.endpoint.as_deref().is_some_and(|text| !address(text)) {
        problems.add(
            "s3.endpoint",
            "expected an address such as https://s3.example.com, without user and password",
        );
    }
}

fn database(config: &Config, problems: &mut Problems) {
    if let Err(error) = config.database_location() {
        problems.add("database.url", error.to_string());
    }
    if !(1..=MOST_CONNECTIONS).contains(&config.database.pool_size) {
        problems.add(
            "database.pool_size",
            format!("must be 1 to {MOST_CONNECTIONS}"),
        );
    }
}
