//! Numbers and times of the settings that make no sense, alone or together.

use std::time::Duration;

use settings::Problems;

use super::Config;

/// Whether it is wrong, the setting, and what is wrong with it.
type Rule = (bool, &'static str, &'static str);

const AT_LEAST_ONE: &str = "must be at least 1";
const AT_LEAST_A_SECOND: &str = "must be at least a second";
const SECOND: Duration = Duration::from_secs(1);

/// A client of a far network needs about this long for anything.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const AT_LEAST_A_PAUSE: &str = "must be at least 100ms: nobody could be served";

/// What is older is deleted, whoever has not received it.
const SHORTEST_RETENTION: Duration = Duration::from_secs(3600);

/// Clocks that differ by more are wrong, and expired tokens would live on.
const LONGEST_LEEWAY: Duration = Duration::from_secs(300);

pub(super) fn check(config: &Config, problems: &mut Problems) {
    let rules = server(config)
        .into_iter()
        .chain(uploads(config))
        .chain(jobs(config))
        .chain(signalr(config))
        .chain(keys(config))
        .chain(callers(config));
    for (_, key, what) in rules.filter(|(wrong, ..)| *wrong) {
        problems.add(key, what);
    }
}

fn server(config: &Config) -> [Rule; 8] {
    let server = &config.server;
    let same = server
        .internal_port
        .is_some_and(|port| port != 0 && port == server.port);
    [
        (same, "server.internal_port", "is the public port"),
        (
            server.max_connections == 0,
            "server.max_connections",
            AT_LEAST_ONE,
        ),
        (
            server.first_byte_timeout < SHORTEST_PAUSE,
            "server.first_byte_timeout",
            AT_LEAST_A_PAUSE,
        ),
        (
            server.header_timeout < SHORTEST_PAUSE,
            "server.header_timeout",
            AT_LEAST_A_PAUSE,
        ),
        (
            server.idle_timeout < SHORTEST_PAUSE,
            "server.idle_timeout",
            AT_LEAST_A_PAUSE,
        ),
        (
            server.body_idle_timeout < SHORTEST_PAUSE,
            "server.body_idle_timeout",
            AT_LEAST_A_PAUSE,
        ),
        (
            server.request_timeout < SECOND,
            "server.request_timeout",
            AT_LEAST_A_SECOND,
        ),
        (
            server.upload_timeout < SECOND,
            "server.upload_timeout",
            AT_LEAST_A_SECOND,
        ),
    ]
}

fn uploads(config: &Config) -> [Rule; 3] {
    let upload = &config.upload;
    [
        (upload.max_bytes == 0, "upload.max_bytes", AT_LEAST_ONE),
        (upload.max_pixels == 0, "upload.max_pixels", AT_LEAST_ONE),
        (
            upload.max_memory < upload.max_bytes.saturating_mul(4),
            "upload.max_memory",
            "must be at least four times upload.max_bytes, which one upload as JSON may take",
        ),
    ]
}

fn jobs(config: &Config) -> [Rule; 6] {
    let (jobs, relay) = (&config.jobs, &config.relay);
    [
        (jobs.max_attempts == 0, "jobs.max_attempts", AT_LEAST_ONE),
        (jobs.lease < SECOND, "jobs.lease", AT_LEAST_A_SECOND),
        (
            jobs.deadline < jobs.lease,
            "jobs.deadline",
            "must not be shorter than jobs.lease",
        ),
        (
            !(1..=10_000).contains(&relay.in_flight),
            "relay.in_flight",
            "must be 1 to 10000",
        ),
        (
            relay.confirm_timeout < SECOND,
            "relay.confirm_timeout",
            AT_LEAST_A_SECOND,
        ),
        (
            relay.republish_after < SECOND,
            "relay.republish_after",
            AT_LEAST_A_SECOND,
        ),
    ]
}

fn signalr(config: &Config) -> [Rule; 4] {
    let signalr = &config.signalr;
    [
        (
            config.notifications.retention < SHORTEST_RETENTION,
            "notifications.retention",
            "must be at least an hour: what is older is deleted",
        ),
        (
            signalr.max_connections_per_user == 0,
            "signalr.max_connections_per_user",
            AT_LEAST_ONE,
        ),
        (
            signalr.keep_alive_interval.is_zero(),
            "signalr.keep_alive_interval",
            "must be longer than 0",
        ),
        (
            signalr.connection_timeout <= signalr.keep_alive_interval,
            "signalr.connection_timeout",
            "must be longer than signalr.keep_alive_interval",
        ),
    ]
}

/// How often the issuer is asked for its keys.
fn keys(config: &Config) -> [Rule; 2] {
    let jwt = &config.jwt;
    let strict = !config.environment.is_development();
    [
        (
            jwt.jwks_refresh < SECOND,
            "jwt.jwks_refresh",
            AT_LEAST_A_SECOND,
        ),
        (
            strict && jwt.jwks_cooldown < SECOND,
            "jwt.jwks_cooldown",
            "must be at least a second: strangers' tokens make the hub ask",
        ),
    ]
}

/// What one caller may do.
fn callers(config: &Config) -> [Rule; 5] {
    let internal = &config.internal;
    [
        (
            config.jwt.leeway > LONGEST_LEEWAY,
            "jwt.leeway",
            "must be at most 5 minutes",
        ),
        (
            internal.requests_per_minute == 0,
            "internal.requests_per_minute",
            AT_LEAST_ONE,
        ),
        (
            internal.wrong_secrets_per_minute == 0,
            "internal.wrong_secrets_per_minute",
            AT_LEAST_ONE,
        ),
        (
            internal.max_waiting_leases == 0,
            "internal.max_waiting_leases",
            AT_LEAST_ONE,
        ),
        (
            config.limits.denied_per_minute == 0,
            "limits.denied_per_minute",
            AT_LEAST_ONE,
        ),
    ]
}
