//! What an address and the headers say: ids, query parameters, the idempotency key.

use axum::extract::{FromRequestParts, RawPathParams};
use http::{HeaderMap, request::Parts};
use shared_dto::UserId;

use super::problem::{ApiError, Kind};

/// The header that makes a repeated request give the first answer.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

const LONGEST_IDEMPOTENCY_KEY: usize = 255;

/// The id in the path: a positive integer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = path_parameter(parts, state).await?;
        parse_id(&text).map(Self).ok_or_else(|| {
            ApiError::invalid(
                "id",
                "it is no id",
                "an integer from 1 to 9223372036854775807",
            )
        })
    }
}

/// The user in the path.
#[derive(Debug, Clone)]
pub(crate) struct PathUser(pub(crate) UserId);

impl<S: Send + Sync> FromRequestParts<S> for PathUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = path_parameter(parts, state).await?;
        UserId::new(&text)
            .map(Self)
            .map_err(|error| ApiError::invalid("id", error.to_string(), "a user id"))
    }
}

/// The value of the route's only parameter.
async fn path_parameter<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, ApiError> {
    let parameters = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| ApiError::invalid("id", "it is not valid UTF-8", "an id"))?;
    Ok(parameters
        .iter()
        .next()
        .map(|(_, text)| text.to_owned())
        .unwrap_or_default())
}

/// Digits only, so that each id has one spelling.
fn parse_id(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

/// The query parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    fn parse(query: &str) -> Self {
        let url = reqwest::Url::parse(&format!("http://host/?{query}"));
        Self(url.map_or_else(
            |_| Vec::new(),
            |url| {
                url.query_pairs()
                    .map(|(n, v)| (n.into_owned(), v.into_owned()))
                    .collect()
            },
        ))
    }

    /// The parameter `name`; twice the same parameter is an error.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let mut all = self.0.iter().filter(|(given, _)| given == name);
        let first = all.next().map(|(_, value)| value.as_str());
        match all.next() {
            None => Ok(first),
            Some(_) => Err(ApiError::invalid(name, "it was given twice", "one value")),
        }
    }

    /// The parameter `name` as an integer.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.text(name)?
            .map(|text| {
                text.parse()
                    .map_err(|_| ApiError::invalid(name, "it is no integer", "an integer"))
            })
            .transpose()
    }

    /// An integer from 0 on.
    pub(crate) fn position(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.integer(name)? {
            Some(number) if number < 0 => Err(ApiError::invalid(
                name,
                "it is negative",
                "an integer from 0 on",
            )),
            number => Ok(number),
        }
    }

    /// How many items a page has: what was asked for, brought into 1 to 100.
    pub(crate) fn limit(&self) -> Result<u32, ApiError> {
        const USUAL: i64 = 20;
        let asked = self.integer("limit")?.unwrap_or(USUAL).clamp(1, 100);
        Ok(u32::try_from(asked).unwrap_or(1))
    }
}

/// The `Idempotency-Key` header.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut all = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let text = first.to_str().unwrap_or_default();
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    let good =
        all.next().is_none() && visible && (1..=LONGEST_IDEMPOTENCY_KEY).contains(&text.len());
    if good {
        return Ok(Some(text.to_owned()));
    }
    Err(ApiError::field(
        Kind::INVALID_REQUEST,
        "Idempotency-Key",
        "it is empty, too long, or holds a character that is not visible ASCII",
        "1 to 255 visible ASCII characters",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        assert_eq!(parse_id("1"), Some(1));
        assert_eq!(parse_id("9223372036854775807"), Some(i64::MAX));
        for text in [
            "",
            "0",
            "-1",
            "+1",
            "01",
            "1.0",
            "abc",
            "9223372036854775808",
            "١",
        ] {
            assert_eq!(parse_id(text), None, "{text}");
        }
    }

    #[test]
    fn limits_are_clamped_and_nonsense_is_refused() {
        for (query, limit) in [
            ("", 20),
            ("limit=0", 1),
            ("limit=-5", 1),
            ("limit=7", 7),
            ("limit=1000000000", 100),
        ] {
            assert_eq!(Query::parse(query).limit().unwrap(), limit, "{query}");
        }
        for query in [
            "limit=x",
            "limit=",
            "limit=1&limit=2",
            "limit=99999999999999999999",
        ] {
            assert!(Query::parse(query).limit().is_err(), "{query}");
        }
    }

    #[test]
    fn idempotency_keys_are_visible_ascii() {
        let with = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(
                IDEMPOTENCY_KEY,
                http::HeaderValue::from_bytes(value).unwrap(),
            );
            idempotency_key(&headers)
        };
        assert_eq!(with(b"a-1").unwrap().as_deref(), Some("a-1"));
        assert!(with(&[b'a'; 255]).is_ok());
        for bad in [&b""[..], b"a b", "ä".as_bytes(), &[b'a'; 256]] {
            assert!(with(bad).is_err());
        }
    }
}
