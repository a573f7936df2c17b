//! A value of no declared type that passes through unchanged.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::serializer::RAW_VALUE;

/// The name by which a [`RawJson`] announces itself to this crate's writers.
pub(super) const RAW_JSON: &str = "$signalr::RawJson";

/// Any JSON, kept as text: for arguments and results that a hub does not look
/// into. Numbers keep their digits (`2.50`, `1e400`), doubled members stay.
///
/// On the `messagepack` protocol it is read from and written to the values that
/// the text stands for, as far as both encodings have them.
///
/// ```
/// use signalr::protocol::{HubProtocol, RawJson};
///
/// let value: RawJson = serde_json::from_str("[ 2.50, 1e400 ]")?;
/// let mut out = Vec::new();
/// HubProtocol::Json.write_result(&mut out, "1", &value)?;
/// assert_eq!(out, b"{\"type\":3,\"invocationId\":\"1\",\"result\":[2.50,1e400]}\x1e");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RawJson(Box<str>);

impl RawJson {
    /// A text that is JSON by its origin, such as one that was stored as JSON.
    /// It is looked at when it is written: one that is none is a
    /// [`WriteError`](crate::protocol::WriteError) then.
    #[must_use]
    pub fn from_text(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text as it was received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(RAW_JSON, &Announced(self.as_str()))
    }
}

/// The text to a writer that announces that it takes text, the values that it
/// stands for to any other.
struct Announced<'a>(&'a str);

impl Serialize for Announced<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_str(self.0);
        }
        let value: Value = serde_json::from_str(self.0).map_err(S::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RAW_VALUE, RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawJson;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("any value")
    }

    /// serde_json knows the name and gives the text.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawJson, A::Error> {
        let text = Box::<RawValue>::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RawJson(text.into()))
    }

    /// Any other format gives its values.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<RawJson, D::Error> {
        let value = Value::deserialize(value)?;
        Ok(RawJson::from_text(value.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{json, messagepack};

    fn echoed(text: &str) -> Result<String, String> {
        let value: RawJson =
            json::read_value(text.as_bytes()).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        json::write_value(&mut out, &value).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_text_that_is_no_json_is_not_written() {
        let mut out = Vec::new();
        for text in ["", "{", "[1", "1 2", "nul", "{\"a\":}", "\"\u{1}\""] {
            let value = RawJson::from_text(text);
            assert!(json::write_value(&mut out, &value).is_err(), "{text}");
            let written = messagepack::write_value(&mut out, &value);
            assert!(written.is_err(), "{text}");
        }
        let value = RawJson::from_text(" [1, 2.50] ");
        out.clear();
        json::write_value(&mut out, &value).unwrap();
        assert_eq!(out, b"[1,2.50]");
    }

    #[test]
    fn untyped_values_are_echoed_as_recorded() {
        let recorded = [
            (
                "{\"B\":1,\"a\":\"<\\u00e9\u{e9}>\",\"a b\":null}",
                "{\"B\":1,\"a\":\"<\u{e9}\u{e9}>\",\"a b\":null}",
            ),
            (
                "[1, 2.50, 1e3, -0, 1E+2, 12345678901234567890, 0.10]",
                "[1,2.50,1e3,-0,1E+2,12345678901234567890,0.10]",
            ),
            (r#""x\/y""#, r#""x/y""#),
            ("[ ]", "[]"),
            ("{ }", "{}"),
            (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
            ("true", "true"),
            ("null", "null"),
            ("1e400", "1e400"),
        ];
        for (sent, received) in recorded {
            assert_eq!(echoed(sent).unwrap(), received);
        }
        assert!(
            echoed(r#""\ud83d""#)
                .unwrap_err()
                .contains("missing low surrogate")
        );
    }

    #[test]
    fn a_raw_value_of_serde_json_is_written_alike() {
        let value: Box<RawValue> = serde_json::from_str("{ \"a\" : 2.50 }").unwrap();
        let mut out = Vec::new();
        json::write_value(&mut out, &(1, value)).unwrap();
        assert_eq!(out, br#"[1,{"a":2.50}]"#);
    }

    #[test]
    fn it_crosses_to_messagepack_and_back() {
        let value: RawJson = json::read_value(br#"{"a":[1,"x",null,2.5]}"#).unwrap();
        let mut packed = Vec::new();
        messagepack::write_value(&mut packed, &value).unwrap();
        assert_eq!(
            packed,
            *b"\x81\xa1a\x94\x01\xa1x\xc0\xcb\x40\x04\0\0\0\0\0\0"
        );
        let back: RawJson = messagepack::read_value(&packed).unwrap();
        assert_eq!(back.as_str(), r#"{"a":[1,"x",null,2.5]}"#);
    }
}
