//! The environment variables that the hub knows, and the setting that each one is.
//!
//! Names are compared without regard to case, as .NET does; an empty variable
//! counts as absent. Where several variables are the same setting, the first
//! in the table wins.

use std::{fs, path::PathBuf};

use figment::{
    Error, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

/// How the text of a variable becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// A number, or text with a unit.
    Number,
    /// A host name, of which an https address is made.
    Domain,
    /// Also as `NAME_FILE`, which points to a file that holds it.
    Secret,
    /// `NAME__0`, `NAME__1` and so on; or `NAME` with commas.
    List,
}

use Kind::{Domain, List, Number, Secret, Text};

const TABLE: &[(&str, &str, Kind)] = &[
    ("ASPNETCORE_ENVIRONMENT", "environment", Text),
    ("DATA_DIR", "data_dir", Text),
    ("RAILWAY_VOLUME_MOUNT_PATH", "data_dir", Text),
    ("WebAPI__BaseUrl", "public_url", Text),
    ("RAILWAY_PUBLIC_DOMAIN", "public_url", Domain),
    ("PORT", "server.port", Number),
    ("INTERNAL_PORT", "server.internal_port", Number),
    ("Server__MaxConnections", "server.max_connections", Number),
    (
        "Server__FirstByteTimeout",
        "server.first_byte_timeout",
        Number,
    ),
    ("Server__HeaderTimeout", "server.header_timeout", Number),
    ("Server__IdleTimeout", "server.idle_timeout", Number),
    (
        "Server__BodyIdleTimeout",
        "server.body_idle_timeout",
        Number,
    ),
    ("Server__RequestTimeout", "server.request_timeout", Number),
    ("Server__UploadTimeout", "server.upload_timeout", Number),
    (
        "Internal__MaxWaitingLeases",
        "internal.max_waiting_leases",
        Number,
    ),
    ("Drain__Delay", "drain.delay", Number),
    ("Drain__Spread", "drain.spread", Number),
    ("Drain__Grace", "drain.grace", Number),
    ("Jwt__Secret", "jwt.secret", Secret),
    ("Jwt__PreviousSecret", "jwt.previous_secret", Secret),
    ("Jwt__PublicKey", "jwt.public_key", Secret),
    ("Jwt__Issuer", "jwt.issuer", Text),
    ("Jwt__Audience", "jwt.audience", Text),
    ("Jwt__Leeway", "jwt.leeway", Number),
    ("ZIRAAI_INTERNAL_SECRET", "internal.secret", Secret),
    ("WebAPI__InternalSecret", "internal.secret", Secret),
    (
        "WebAPI__PreviousInternalSecret",
        "internal.previous_secret",
        Secret,
    ),
    ("Security__AllowedInternalIPs", "internal.allowed_ips", List),
    (
        "Security__InternalRequestsPerMinute",
        "internal.requests_per_minute",
        Number,
    ),
    (
        "Security__WrongSecretsPerMinute",
        "internal.wrong_secrets_per_minute",
        Number,
    ),
    ("Upload__MaxBytes", "upload.max_bytes", Number),
    ("Upload__MaxPixels", "upload.max_pixels", Number),
    ("Upload__MaxMemory", "upload.max_memory", Number),
    ("Images__AllowedHosts", "images.allowed_hosts", List),
    ("Images__LinkLifetime", "images.link_lifetime", Number),
    ("Jobs__LeaseSeconds", "jobs.lease", Number),
    ("Jobs__MaxAttempts", "jobs.max_attempts", Number),
    ("Jobs__Deadline", "jobs.deadline", Number),
    (
        "SignalR__MaxConnectionsPerUser",
        "signalr.max_connections_per_user",
        Number,
    ),
    (
        "SignalR__KeepAliveInterval",
        "signalr.keep_alive_interval",
        Number,
    ),
    (
        "SignalR__ConnectionTimeout",
        "signalr.connection_timeout",
        Number,
    ),
    (
        "Notifications__EventNames",
        "notifications.event_names",
        Text,
    ),
    (
        "Notifications__Retention",
        "notifications.retention",
        Number,
    ),
    ("Receipts__Confirm", "receipts.confirm", Text),
    ("Cors__AllowedOrigins", "cors.allowed_origins", List),
    ("SignalR__AllowedOrigins", "cors.allowed_origins", List),
    ("Log__Format", "log.format", Text),
    ("RUST_LOG", "log.filter", Text),
    ("Log__Filter", "log.filter", Text),
];

/// The variable that an operator would set for `key`.
pub(super) fn variable_of(key: &str) -> Option<&'static str> {
    TABLE
        .iter()
        .find(|(_, of, _)| *of == key)
        .map(|(name, _, _)| *name)
}

/// Whether the value of `key` must never be shown.
pub(super) fn is_secret(key: &str) -> bool {
    TABLE
        .iter()
        .any(|(_, of, kind)| *of == key && *kind == Secret)
}

/// A variable that cannot be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadVariable {
    pub(super) name: String,
    pub(super) key: &'static str,
    pub(super) what: String,
}

/// One setting that the environment gives.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    name: String,
    key: &'static str,
    value: Value,
}

impl Provider for Setting {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("environment variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let nested = figment::util::nest(self.key, self.value.clone());
        let dict = nested.into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}

/// Picks the known variables out of `variables`. What comes later in the
/// result wins.
pub(super) fn settings(variables: &[(String, String)]) -> (Vec<Setting>, Vec<BadVariable>) {
    let (mut settings, mut bad) = (Vec::new(), Vec::new());
    for &(name, key, kind) in TABLE.iter().rev() {
        match read(variables, name, kind) {
            Ok(Some((name, value))) => settings.push(Setting { name, key, value }),
            Ok(None) => {}
            Err((name, what)) => bad.push(BadVariable { name, key, what }),
        }
    }
    (settings, bad)
}

type Found = Option<(String, Value)>;

fn read(variables: &[(String, String)], name: &str, kind: Kind) -> Result<Found, (String, String)> {
    let direct = find(variables, name);
    Ok(match kind {
        Text => direct.map(|(name, text)| (name, Value::from(text))),
        Number => direct.map(|(name, text)| (name, number(&text))),
        Domain => direct.map(|(name, text)| (name, Value::from(format!("https://{text}")))),
        Secret => secret(variables, name, direct)?,
        List => list(variables, name, direct),
    })
}

/// The variable as it is spelt in the environment, and its text.
fn find(variables: &[(String, String)], name: &str) -> Option<(String, String)> {
    variables
        .iter()
        .find(|(given, text)| given.eq_ignore_ascii_case(name) && !text.trim().is_empty())
        .map(|(given, text)| (given.clone(), text.trim().to_owned()))
}

fn number(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>() {
        Value::from(whole)
    } else if let Ok(broken) = text.parse::<f64>() {
        Value::from(broken)
    } else {
        Value::from(text)
    }
}

fn secret(
    variables: &[(String, String)],
    name: &str,
    direct: Option<(String, String)>,
) -> Result<Found, (String, String)> {
    let Some((file_name, path)) = find(variables, &format!("{name}_FILE")) else {
        return Ok(direct.map(|(name, text)| (name, Value::from(text))));
    };
    if direct.is_some() {
        return Err((
            file_name,
            format!("{name} is set as well; keep one of the two"),
        ));
    }
    match fs::read_to_string(PathBuf::from(&path)) {
        Ok(text) if text.trim().is_empty() => Err((file_name, format!("the file {path} is empty"))),
        Ok(text) => Ok(Some((file_name, Value::from(text.trim().to_owned())))),
        Err(error) => Err((
            file_name,
            format!("the file {path} cannot be read: {error}"),
        )),
    }
}

fn list(variables: &[(String, String)], name: &str, direct: Option<(String, String)>) -> Found {
    let mut indexed: Vec<(u32, &str)> = variables
        .iter()
        .filter_map(|(given, text)| {
            let (head, index) = given.rsplit_once("__")?;
            let wanted = head.eq_ignore_ascii_case(name) && !text.trim().is_empty();
            wanted.then_some((index.parse().ok()?, text.trim()))
        })
        .collect();
    if indexed.is_empty() {
        let (name, text) = direct?;
        let items: Vec<&str> = text
            .split(',')
            .map(str::trim)
            .filter(|i| !i.is_empty())
            .collect();
        return Some((name, Value::from(items)));
    }
    indexed.sort_by_key(|(index, _)| *index);
    let items: Vec<&str> = indexed.into_iter().map(|(_, text)| text).collect();
    Some((format!("{name}__0.."), Value::from(items)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn last<'a>(settings: &'a [Setting], key: &str) -> &'a Value {
        &settings.iter().rfind(|s| s.key == key).unwrap().value
    }

    #[test]
    fn names_ignore_case_and_lists_are_in_the_order_of_their_index() {
        let (settings, bad) = settings(&variables(&[
            ("webapi__internalsecret", "abc"),
            ("CORS__ALLOWEDORIGINS__10", "https://c"),
            ("Cors__AllowedOrigins__0", "https://a"),
            ("cors__allowedorigins__2", "https://b"),
            ("Security__AllowedInternalIPs", "10.0.0.0/8, ::1"),
            ("UNKNOWN", "1"),
        ]));
        assert!(bad.is_empty());
        assert_eq!(last(&settings, "internal.secret").as_str(), Some("abc"));
        let origins = last(&settings, "cors.allowed_origins")
            .as_array()
            .unwrap()
            .to_vec();
        let origins: Vec<_> = origins.iter().filter_map(|v| v.as_str()).collect();
        assert_eq!(origins, ["https://a", "https://b", "https://c"]);
        assert_eq!(
            last(&settings, "internal.allowed_ips")
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn the_first_name_in_the_table_wins_and_empty_is_absent() {
        let both = [
            ("WebAPI__InternalSecret", "second"),
            ("ZIRAAI_INTERNAL_SECRET", "first"),
        ];
        let (both, _) = settings(&variables(&both));
        assert_eq!(last(&both, "internal.secret").as_str(), Some("first"));
        let empty = [
            ("WebAPI__InternalSecret", "second"),
            ("ZIRAAI_INTERNAL_SECRET", " "),
        ];
        let (empty, _) = settings(&variables(&empty));
        assert_eq!(last(&empty, "internal.secret").as_str(), Some("second"));
    }

    #[test]
    fn a_secret_comes_from_a_file_but_not_from_two_places() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("jwt");
        fs::write(&file, "from the file\n").unwrap();
        let path = file.to_str().unwrap();
        let (good, bad) = settings(&variables(&[("Jwt__Secret_FILE", path)]));
        assert!(bad.is_empty());
        assert_eq!(last(&good, "jwt.secret").as_str(), Some("from the file"));
        let twice = [("Jwt__Secret_FILE", path), ("Jwt__Secret", "x")];
        assert_eq!(settings(&variables(&twice)).1.len(), 1);
        let absent = [("Jwt__Secret_FILE", "/nonexistent/secret")];
        assert_eq!(settings(&variables(&absent)).1[0].name, "Jwt__Secret_FILE");
    }
}
