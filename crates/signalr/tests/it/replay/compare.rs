//! Compares answers, and shows what differs to people. Never touches a socket.

use super::http::Response;
use super::placeholder::Bindings;
use super::scenario::Expected;

/// The headers that were recorded; one that a recording lacks was absent.
const RECORDED_HEADERS: [&str; 9] = [
    "content-type",
    "content-length",
    "cache-control",
    "pragma",
    "expires",
    "transfer-encoding",
    "content-encoding",
    "allow",
    "www-authenticate",
];

/// What was expected and what came instead.
#[derive(Debug, Clone)]
pub(crate) struct Mismatch {
    pub(crate) expected: String,
    pub(crate) got: String,
}

impl Mismatch {
    pub(crate) fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            got: got.into(),
        }
    }
}

/// Compares a whole answer: status, recorded headers, body.
pub(crate) fn response(
    bindings: &mut Bindings,
    expected: &Expected,
    got: &Response,
) -> Result<(), Mismatch> {
    let Expected::Answer {
        status,
        headers,
        body,
    } = expected
    else {
        return Err(Mismatch::new(
            "the socket closed without an answer",
            show_response(got),
        ));
    };
    let shown = || {
        let body = body.as_deref().unwrap_or_default();
        format!(
            "{status} {} {}",
            show_headers(headers.as_deref()),
            show(body.as_bytes())
        )
    };
    let body_matches = body
        .as_ref()
        .is_none_or(|body| bindings.matches(body, &got.body));
    let headers_match = headers.as_ref().is_none_or(|headers| {
        RECORDED_HEADERS.iter().all(|name| {
            let recorded = headers
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value);
            match (recorded, got.header(name)) {
                (Some(recorded), Some(value)) => bindings.matches(recorded, value.as_bytes()),
                (None, None) => true,
                _ => false,
            }
        })
    });
    if *status == got.status && body_matches && headers_match {
        return Ok(());
    }
    Err(Mismatch::new(shown(), show_response(got)))
}

/// Bytes for people: separators and controls escaped, long texts shortened.
pub(crate) fn show(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace('\u{1e}', "␞");
    let text = text.replace('\r', "␍").replace('\n', "␊");
    let length = text.chars().count();
    if length <= 1200 {
        return format!("`{text}`");
    }
    let head: String = text.chars().take(600).collect();
    format!("`{head}…` ({length} characters)")
}

pub(crate) fn show_response(got: &Response) -> String {
    let known = got
        .headers
        .iter()
        .filter(|(name, _)| RECORDED_HEADERS.contains(&name.as_str()));
    let headers: Vec<_> = known.cloned().collect();
    format!(
        "{} {} {}",
        got.status,
        show_headers(Some(&headers)),
        show(&got.body)
    )
}

fn show_headers(headers: Option<&[(String, String)]>) -> String {
    let mut lines: Vec<String> = headers
        .unwrap_or_default()
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.sort();
    format!("[{}]", lines.join("; "))
}
