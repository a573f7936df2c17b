//! What the settings alone show.

use checklist::Item;
use secrecy::ExposeSecret as _;

use crate::config::{Config, Confirm};

/// Descriptors beside those of connections: database, logs, outgoing calls.
const OTHER_DESCRIPTORS: u64 = 200;

pub(super) fn items(config: &Config, variables: &[(String, String)]) -> Vec<Item> {
    let internal = &config.internal;
    let mut items = vec![
        checklist::environment(config.environment),
        keys(config),
        checklist::secret("internal secret", internal.secret.as_ref()),
        rotation(config),
        origins(config),
        checklist::allow_list(&internal.allowed_ips, internal.requests_per_minute),
        proxies(config),
        public_url(config),
        several_hubs(config),
        receipts(config),
        descriptors(config),
    ];
    items.extend(checklist::railway(variables));
    items
}

fn keys(config: &Config) -> Item {
    let jwt = &config.jwt;
    let mut sources = Vec::new();
    if let Some(secret) = &jwt.secret {
        let length = secret.expose_secret().chars().count();
        sources.push(format!("HS256, {length} characters"));
    }
    if let Some(pem) = &jwt.public_key {
        let count = crate::auth::parse_public_keys(pem).map_or(0, |keys| keys.len());
        sources.push(format!("{count} public key(s)"));
    }
    if jwt.jwks_url.is_some() {
        sources.push("published keys".to_owned());
    }
    let found = sources.join(", ");
    if jwt.issuer.is_none() || jwt.audience.is_none() {
        let advice = "set Jwt__Issuer and Jwt__Audience, so that no token of another system opens";
        return Item::warn("token keys", found, advice);
    }
    Item::pass(
        "token keys",
        format!("{found}; issuer and audience checked"),
    )
}

/// An old secret that is never taken away is one more to lose.
fn rotation(config: &Config) -> Item {
    let old = [
        ("Jwt__PreviousSecret", &config.jwt.previous_secret),
        (
            "WebAPI__PreviousInternalSecret",
            &config.internal.previous_secret,
        ),
    ];
    let set: Vec<&str> = old
        .iter()
        .filter(|(_, secret)| secret.is_some())
        .map(|(name, _)| *name)
        .collect();
    if set.is_empty() {
        Item::pass("rotation", "no old secret is accepted")
    } else {
        let found = format!("still accepted: {}", set.join(", "));
        Item::warn(
            "rotation",
            found,
            "unset them when everybody has the new secret",
        )
    }
}

fn origins(config: &Config) -> Item {
    let origins = &config.cors.allowed_origins;
    if origins.is_empty() {
        Item::warn(
            "origins",
            "none: pages of other hosts cannot call",
            "set Cors__AllowedOrigins__0 where there is a web client",
        )
    } else {
        Item::pass("origins", origins.join(", "))
    }
}

fn proxies(config: &Config) -> Item {
    let trusted = &config.server.trusted_proxies;
    if trusted.is_empty() {
        Item::pass(
            "proxies",
            "none trusted: forwarding headers are not believed",
        )
    } else {
        Item::pass("proxies", format!("trusted: {}", trusted.join(", ")))
    }
}

fn public_url(config: &Config) -> Item {
    const NAME: &str = "public address";
    match config.public_url.as_deref() {
        Some(url) if url.starts_with("https://") => Item::pass(NAME, url),
        Some(url) => Item::warn(
            NAME,
            format!("{url}: links to images are not encrypted"),
            "set WebAPI__BaseUrl to the https address that clients use",
        ),
        None => Item::warn(
            NAME,
            "not set: links to images lead to localhost",
            "set WebAPI__BaseUrl to the address that clients use",
        ),
    }
}

/// Several hubs need a server's database and a bucket; one that has both but no
/// Redis works, a little later.
fn several_hubs(config: &Config) -> Item {
    const NAME: &str = "several hubs";
    let shared = config.database.url.is_some() && config.s3.bucket.is_some();
    match (config.redis.enabled, shared) {
        (true, true) => Item::pass(NAME, "Redis, a shared database and a bucket"),
        (true, false) => Item::warn(
            NAME,
            "Redis is used, but the database or the images are this hub's own",
            "set DATABASE_URL (PostgreSQL) and S3__Bucket, or UseRedis=false for one hub",
        ),
        (false, _) => Item::pass(NAME, "this hub is alone (UseRedis is off)"),
    }
}

fn receipts(config: &Config) -> Item {
    let found = match config.receipts.confirm {
        Confirm::Pong => "a WebSocket's Pong confirms a notification",
        Confirm::Acknowledge => "clients confirm notifications themselves",
    };
    Item::pass("receipts", found)
}

/// Each connection is a descriptor.
fn descriptors(config: &Config) -> Item {
    const NAME: &str = "descriptors";
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let wanted = config.server.max_connections as u64 + OTHER_DESCRIPTORS;
    match soft {
        Some(soft) if soft < wanted => Item::warn(
            NAME,
            format!("{soft} open files allowed, {wanted} wanted"),
            "raise the limit (ulimit -n, LimitNOFILE), or lower Server__MaxConnections",
        ),
        Some(soft) => Item::pass(NAME, format!("{soft} open files allowed")),
        None => Item::pass(NAME, "no limit that can be read"),
    }
}
