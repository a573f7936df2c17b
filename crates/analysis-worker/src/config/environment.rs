//! The environment variables that the worker knows, and the setting that each one is.
//!
//! Names are compared without regard to case, as .NET does; an empty variable
//! counts as absent. Where several variables are the same setting, the first
//! in the table wins.

use std::fs;

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
    /// Also as `NAME_FILE`, which points to a file that holds it.
    Secret,
}

use Kind::{Number, Secret, Text};

const TABLE: &[(&str, &str, Kind)] = &[
    ("ASPNETCORE_ENVIRONMENT", "environment", Text),
    ("DATA_DIR", "data_dir", Text),
    ("ZIRAAI_WEBAPI_URL", "hub.base_url", Text),
    ("WebAPI__BaseUrl", "hub.base_url", Text),
    ("ZIRAAI_INTERNAL_SECRET", "hub.secret", Secret),
    ("WebAPI__InternalSecret", "hub.secret", Secret),
    ("WebAPI__TimeoutSeconds", "hub.timeout", Number),
    ("WebAPI__BreakerFailures", "hub.breaker_failures", Number),
    ("WebAPI__BreakerPause", "hub.breaker_pause", Number),
    ("Worker__Concurrency", "worker.concurrency", Number),
    ("Worker__PollSeconds", "worker.poll", Number),
    ("Worker__Grace", "worker.grace", Number),
    ("Worker__AnalysisTimeout", "worker.analysis_timeout", Number),
    ("Photo__FetchTimeout", "photo.fetch_timeout", Number),
    ("N8N__WebhookUrl", "n8n.webhook_url", Text),
    ("N8N__AuthHeader", "n8n.auth_header", Text),
    ("N8N__AuthSecret", "n8n.auth_secret", Secret),
    ("N8N__ConnectTimeout", "n8n.connect_timeout", Number),
    ("N8N__ReadTimeout", "n8n.read_timeout", Number),
    ("N8N__TimeoutSeconds", "n8n.total_timeout", Number),
    ("N8N__ParkSeconds", "n8n.park", Number),
    ("N8N__MaxAnswerBytes", "n8n.max_answer_bytes", Number),
    ("PORT", "server.port", Number),
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

/// Whether the value of `key` must never be shown. An address may hold a
/// password, so it counts as one.
pub(super) fn is_secret(key: &str) -> bool {
    key.ends_with("_url")
        || TABLE
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
#[derive(Clone)]
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
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
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
        Secret => secret(variables, name, direct)?,
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
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Err((file_name, format!("the file {path} is empty"))),
        Ok(text) => Ok(Some((file_name, Value::from(text.trim().to_owned())))),
        Err(error) => Err((
            file_name,
            format!("the file {path} cannot be read: {error}"),
        )),
    }
}
