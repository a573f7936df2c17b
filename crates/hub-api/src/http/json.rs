//! JSON bodies: their media type, their size, and an error that names the
//! member which is wrong.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequest, Request};
use http::{HeaderMap, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    body::{self, Bounds},
    problem::{ApiError, Kind},
};
use crate::config::Config;

/// A JSON body of at most `LIMIT` bytes.
#[derive(Debug, Clone)]
pub(crate) struct ApiJson<T, const LIMIT: usize = { 64 * 1024 }>(pub(crate) T);

impl<T, S, const LIMIT: usize> FromRequest<S> for ApiJson<T, LIMIT>
where
    T: DeserializeOwned,
    S: Send + Sync,
    Arc<Config>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let idle = Arc::<Config>::from_ref(state).server.body_idle_timeout;
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(ApiError::field(
                Kind::MEDIA_TYPE,
                "Content-Type",
                "the body is not declared as JSON",
                "application/json",
            ));
        }
        let bytes = body::read(&parts.headers, body, Bounds { bytes: LIMIT, idle }).await?;
        parse(&bytes).map(Self)
    }
}

/// Whether the body is declared as JSON (RFC 6838 section 4.2.8: `+json` is).
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(text) = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Reads `bytes` as JSON.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // serde would take an array for the members of a struct in their order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::invalid("body", "it is an array", "an object"));
    }
    serde_json::from_slice(bytes).or_else(|_| locate_fault(bytes))
}

/// Reads once more, with the path of what is read, which costs its keeping.
fn locate_fault<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| wrong(&error.path().to_string(), error.inner()))?;
    reader.end().map_err(|error| wrong(".", &error))?;
    Ok(value)
}

/// Reads an already parsed value.
pub(crate) fn convert<T: DeserializeOwned>(value: Value) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| wrong(&error.path().to_string(), error.inner()))
}

fn wrong(path: &str, error: &serde_json::Error) -> ApiError {
    if !error.is_data() {
        let detail = format!("The body is not valid JSON: {error}.");
        return ApiError::new(Kind::INVALID_REQUEST, detail);
    }
    // serde's words end with the place in the text, which says little beside the path.
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    let (what, accepted) = match text.split_once(", expected ") {
        Some((what, accepted)) => (what.to_owned(), accepted.to_owned()),
        None => (text.to_owned(), "see /openapi.json".to_owned()),
    };
    let field = match (path, text.strip_prefix("missing field `")) {
        (".", Some(rest)) => rest.trim_end_matches('`').to_owned(),
        (path, Some(rest)) => format!("{path}.{}", rest.trim_end_matches('`')),
        (".", None) => "body".to_owned(),
        (path, None) => path.to_owned(),
    };
    ApiError::invalid(field, what, accepted)
}

/// Whether any text in `value` holds U+0000, which PostgreSQL stores in no
/// text: what one database takes the other must take, too.
pub(crate) fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use shared_dto::jobs::LeaseRequest;

    use super::*;

    #[test]
    fn errors_name_the_member_and_what_is_accepted() {
        for (json, field) in [
            ("{}", "workerId"),
            (r#"{"workerId":1,"maxJobs":1,"waitSeconds":1}"#, "workerId"),
            (
                r#"{"workerId":"a","maxJobs":-1,"waitSeconds":1}"#,
                "maxJobs",
            ),
            ("[\"w\", 1, 1]", "body"),
            ("7", "body"),
        ] {
            let error = parse::<LeaseRequest>(json.as_bytes()).unwrap_err();
            assert_eq!(error.problem().errors[0].field, field, "{json}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let nested = "[".repeat(100_000);
        for text in [
            "",
            "{",
            "NaN",
            "1e400",
            "\u{feff}{}",
            "{} x",
            "\"\\ud800\"",
            &nested,
        ] {
            let status = parse::<Value>(text.as_bytes()).unwrap_err().status();
            assert_eq!(status, 400, "{}", &text[..text.len().min(20)]);
        }
        assert_eq!(parse::<Value>(b"\"\xff\"").unwrap_err().status(), 400);
    }

    #[test]
    fn nul_is_found_anywhere() {
        for json in [
            r#""\u0000""#,
            r#"{"a":["a\u0000"]}"#,
            r#"{"a\u0000":1}"#,
            r#"{"a":{"b":"\u0000"}}"#,
        ] {
            assert!(has_nul(&parse(json.as_bytes()).unwrap()), "{json}");
        }
        assert!(!has_nul(&parse(br#"{"a":["b\n"]}"#).unwrap()));
    }
}
