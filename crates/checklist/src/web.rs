//! Looking at a running service over HTTP: whether it answers, what its health
//! says, and whether its clock agrees with ours.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use reqwest::{Client, RequestBuilder, Response, Url, redirect::Policy};
use serde_json::Value;
use settings::is_private_host;
use time::{OffsetDateTime, PrimitiveDateTime, macros::format_description};

use crate::Item;

/// For one answer, with all of its body.
const PATIENCE: Duration = Duration::from_secs(10);
/// A longer answer is not read.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// Tokens are valid by the second; clocks that differ more need attention.
const CLOCK_WARN: i64 = 2;
/// Beyond, good tokens are refused.
const CLOCK_FAIL: i64 = 30;

/// Why a service could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// It is no address.
    #[error("{0:?} is no address such as https://api.example.com")]
    Address(String),
    /// There is no client.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
}

/// One service, seen from outside.
#[derive(Debug, Clone)]
pub struct Web {
    base: Url,
    client: Client,
}

impl Web {
    /// The service at `base`, without a slash at its end or with one.
    ///
    /// # Errors
    /// [`WebError`] for what is no address.
    pub fn new(base: &str) -> Result<Self, WebError> {
        let parsed = Url::parse(base.trim_end_matches('/')).ok();
        let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            // A WebSocket is opened over HTTP/1.1.
            .http1_only()
            .timeout(PATIENCE)
            .build();
        Ok(Self {
            base: parsed.ok_or_else(|| WebError::Address(base.to_owned()))?,
            client: client.map_err(WebError::Client)?,
        })
    }

    /// Scheme, host and port, fit to be shown.
    #[must_use]
    pub fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Whether what is sent can be read by nobody else, or leaves no network of
    /// one's own.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.base.scheme() == "https" || self.base.host_str().is_some_and(is_private_host)
    }

    /// The same host, by another port.
    #[must_use]
    pub fn on_port(&self, port: u16) -> Self {
        let mut other = self.clone();
        // Fails only for addresses without a host, which there are none of here.
        let _ = other.base.set_port(Some(port));
        other
    }

    /// A request to `path`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let base = self.base.as_str().trim_end_matches('/');
        self.client.request(method, format!("{base}{path}"))
    }

    /// Whether it answers at `path`; gives its headers.
    pub async fn reachable(&self, name: &str, path: &str) -> (Item, Option<HeaderMap>) {
        let start = Instant::now();
        let advice = "check the address, that the service runs, and the network between";
        match self.request(Method::GET, path).send().await {
            Ok(answer) => {
                let (status, headers) = (answer.status(), answer.headers().clone());
                let took = start.elapsed().as_millis();
                let found = format!("{} answers {status} in {took} ms", self.origin());
                let item = if status.is_success() {
                    Item::pass(name, found)
                } else {
                    Item::fail(name, found, advice)
                };
                (item, Some(headers))
            }
            Err(error) => (Item::fail(name, cause(error), advice), None),
        }
    }

    /// What its health at `path` says.
    pub async fn health(&self, path: &str) -> Item {
        const NAME: &str = "health";
        let advice = "look at the checks that are named, and at the service's log";
        let answer = match self.request(Method::GET, path).send().await {
            Ok(answer) => answer,
            Err(error) => return Item::fail(NAME, cause(error), advice),
        };
        let status = answer.status();
        let body = json(answer).await.unwrap_or_default();
        let ill = ill(&body["checks"]);
        let found = match ill.as_slice() {
            [] => format!(
                "{status}, {}",
                body["status"].as_str().unwrap_or("no status")
            ),
            ill => format!("{status}, {}", ill.join("; ")),
        };
        match (status.is_success(), body["status"].as_str()) {
            (true, Some("Healthy")) => Item::pass(NAME, found),
            (true, Some("Degraded")) => Item::warn(NAME, found, advice),
            _ => Item::fail(NAME, found, advice),
        }
    }
}

/// The checks that are not well: those of a list, as the hub has them, or those
/// under their names, as the worker has them.
fn ill(checks: &Value) -> Vec<String> {
    let told = |name: &str, check: &Value| {
        let words = check["description"].as_str().or(check["status"].as_str());
        let is_ill = check["status"] != "Healthy";
        is_ill.then(|| format!("{name}: {}", words.unwrap_or("?")))
    };
    match checks {
        Value::Array(list) => {
            let each = list.iter();
            each.filter_map(|check| told(check["name"].as_str().unwrap_or("?"), check))
                .collect()
        }
        Value::Object(named) => {
            let each = named.iter();
            each.filter_map(|(name, check)| told(name, check)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether the clock of the service that sent `headers` agrees with ours.
#[must_use]
pub fn clock(headers: &HeaderMap, now: OffsetDateTime) -> Item {
    const NAME: &str = "clock";
    // RFC 9110 section 5.6.7.
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let theirs = headers
        .get(http::header::DATE)
        .and_then(|date| date.to_str().ok())
        .and_then(|date| PrimitiveDateTime::parse(date, format).ok());
    let Some(theirs) = theirs else {
        let advice = "a proxy takes the Date header away; compare the clocks yourself";
        return Item::warn(NAME, "the answer has no date", advice);
    };
    let apart = (now - theirs.assume_utc()).whole_seconds().abs();
    let found = format!("{apart} s apart");
    let advice = "let both machines follow a time server (NTP)";
    if apart <= CLOCK_WARN {
        Item::pass(NAME, found)
    } else if apart <= CLOCK_FAIL {
        Item::warn(NAME, found, advice)
    } else {
        Item::fail(NAME, found, advice)
    }
}

/// What went wrong, without an address that may hold a key.
#[must_use]
pub fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(next) = source {
        text.push_str(": ");
        text.push_str(&next.to_string());
        source = next.source();
    }
    text
}

/// The body as JSON, where it is that and not too long.
pub async fn json(mut answer: Response) -> Option<Value> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.ok()? {
        body.extend_from_slice(&piece);
        if body.len() > LONGEST_ANSWER {
            return None;
        }
    }
    serde_json::from_slice(&body).ok()
}

/// An item by whether `status` is one of `good`.
#[must_use]
pub fn expect(name: &str, status: StatusCode, good: &[u16], found: &str, advice: &str) -> Item {
    if good.contains(&status.as_u16()) {
        Item::pass(name, format!("{found}: {status}"))
    } else {
        Item::fail(name, format!("{found}: {status}"), advice)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::Outcome;

    #[test]
    fn clocks_are_compared() {
        let now = datetime!(2026-11-21 20:00:00 UTC);
        for (date, outcome) in [
            ("Sat, 21 Nov 2026 20:00:01 GMT", Outcome::Pass),
            ("Sat, 21 Nov 2026 19:59:50 GMT", Outcome::Warn),
            ("Sat, 21 Nov 2026 22:00:00 GMT", Outcome::Fail),
            ("yesterday", Outcome::Warn),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("date", date.parse().unwrap());
            assert_eq!(clock(&headers, now).outcome, outcome, "{date}");
        }
    }

    #[test]
    fn checks_that_are_not_well_are_named_in_both_forms() {
        let list = serde_json::json!([
            {"name": "database", "status": "Healthy", "description": "it answers"},
            {"name": "redis", "status": "Degraded", "description": "it is away"},
        ]);
        assert_eq!(ill(&list), ["redis: it is away"]);
        let named = serde_json::json!({
            "hub": {"status": "Unhealthy"}, "broker": {"status": "Healthy"},
        });
        assert_eq!(ill(&named), ["hub: Unhealthy"]);
    }

    #[test]
    fn addresses_are_judged_by_who_can_listen() {
        for (base, private) in [
            ("https://api.example.com", true),
            ("http://localhost:8080/", true),
            ("http://hub.railway.internal:8080", true),
            ("http://hub:8080", true),
            ("http://api.example.com", false),
        ] {
            assert_eq!(Web::new(base).unwrap().is_private(), private, "{base}");
        }
        for wrong in ["", "api.example.com", "ftp://api.example.com"] {
            assert!(Web::new(wrong).is_err(), "{wrong}");
        }
    }
}
