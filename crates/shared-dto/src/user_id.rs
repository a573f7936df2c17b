//! The user id: opaque inside, a number on the wire where it is one.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest user id, in bytes.
pub const MAX_BYTES: usize = 128;

/// Who a notification, an analysis or a connection belongs to: an opaque,
/// non-empty string of at most [`MAX_BYTES`] bytes without control characters.
///
/// Existing clients expect `userId` as a JSON number, so an id that is a
/// canonical integer (`42`, not `042` nor `+42`) is written as a number, every
/// other one as a string. Both spellings are read.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

/// Why a text is no user id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidUserId {
    /// The text is empty.
    Empty,
    /// The text has more than [`MAX_BYTES`] bytes.
    TooLong,
    /// The text holds a control character, which could forge a log line.
    ControlCharacter,
}

impl fmt::Display for InvalidUserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a user id must not be empty"),
            Self::TooLong => write!(f, "a user id has at most {MAX_BYTES} bytes"),
            Self::ControlCharacter => f.write_str("a user id holds no control characters"),
        }
    }
}

impl std::error::Error for InvalidUserId {}

impl UserId {
    /// Checks `text` and makes it a user id.
    ///
    /// # Errors
    /// [`InvalidUserId`] says which rule the text breaks.
    pub fn new(text: &str) -> Result<Self, InvalidUserId> {
        if text.is_empty() {
            return Err(InvalidUserId::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(InvalidUserId::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidUserId::ControlCharacter);
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as shared text, without a copy.
    #[must_use]
    pub fn to_arc(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The number that this id is written as, where it is a canonical integer.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        let number: i64 = self.0.parse().ok()?;
        let canonical = number >= 0
            && !self.0.starts_with('+')
            && !(self.0.len() > 1 && self.0.starts_with('0'));
        canonical.then_some(number)
    }
}

impl From<i64> for UserId {
    fn from(number: i64) -> Self {
        Self(number.to_string().into())
    }
}

impl std::str::FromStr for UserId {
    type Err = InvalidUserId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_integer() {
            Some(number) => serializer.serialize_i64(number),
            None => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = UserId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "a user id: an integer from 0, or a string of 1 to {MAX_BYTES} bytes"
                )
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<UserId, E> {
                if number < 0 {
                    return Err(E::invalid_value(de::Unexpected::Signed(number), &self));
                }
                Ok(UserId::from(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<UserId, E> {
                i64::try_from(number)
                    .map(UserId::from)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<UserId, E> {
                UserId::new(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl utoipa::PartialSchema for UserId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
        OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::Integer))
            .item(
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .max_length(Some(MAX_BYTES)),
            )
            .into()
    }
}

impl utoipa::ToSchema for UserId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_integers_are_numbers_and_all_else_is_text() {
        for (text, json) in [
            ("42", "42"),
            ("0", "0"),
            ("042", "\"042\""),
            ("+42", "\"+42\""),
            ("-1", "\"-1\""),
            ("9223372036854775808", "\"9223372036854775808\""),
            ("alice", "\"alice\""),
        ] {
            let id = UserId::new(text).unwrap();
            assert_eq!(serde_json::to_string(&id).unwrap(), json);
            assert_eq!(serde_json::from_str::<UserId>(json).unwrap(), id);
        }
    }

    #[test]
    fn numeric_text_and_number_are_the_same_user() {
        assert_eq!(
            serde_json::from_str::<UserId>("\"42\"").unwrap(),
            serde_json::from_str::<UserId>("42").unwrap()
        );
    }

    #[test]
    fn what_is_no_user_id_is_refused() {
        for json in [
            "\"\"",
            "-1",
            "1.5",
            "null",
            "true",
            "[]",
            "\"a\\nb\"",
            "18446744073709551615",
        ] {
            assert!(serde_json::from_str::<UserId>(json).is_err(), "{json}");
        }
        assert_eq!(UserId::new(&"x".repeat(129)), Err(InvalidUserId::TooLong));
    }
}
