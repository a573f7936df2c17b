//! Single values: argument by argument, into the types that want them, and
//! back to text.

use serde::Serialize;
use serde::de::value::F64Deserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde_json::error::Category;

use super::reader::Reader;
use super::serializer::Serializer;
use crate::protocol::{BindError, WriteError};

/// Splits the first element off what stands between an array's brackets. The
/// text was read once already, so there is an element.
pub(in crate::protocol) fn split_element(elements: &[u8]) -> (&[u8], &[u8]) {
    let mut reader = Reader::new(elements);
    if reader.kind().is_err() {
        return (elements, &[]);
    }
    let start = reader.position();
    if reader.skip_value().is_err() {
        return (&elements[start..], &[]);
    }
    let element = reader.since(start);
    let rest = elements[reader.position()..].trim_ascii_start();
    (element, rest.strip_prefix(b",").unwrap_or(rest))
}

/// Reads a value. Errors name no content: arguments can hold anything.
pub(in crate::protocol) fn read_value<T: DeserializeOwned>(text: &[u8]) -> Result<T, BindError> {
    serde_json::from_slice(text).or_else(|error| {
        read_number(text).ok_or_else(|| {
            BindError(match error.classify() {
                Category::Data => format!("not of the expected type, at column {}", error.column()),
                _ => format!("not readable as JSON, at column {}", error.column()),
            })
        })
    })
}

/// Reads the numbers that .NET takes and serde_json does not: -0 is an integer
/// too, and what is beyond a floating-point number's range is infinite.
fn read_number<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    if text == b"-0" {
        return serde_json::from_slice(b"0").ok();
    }
    if !matches!(text.first()?, b'-' | b'0'..=b'9') {
        return None;
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let deserializer: F64Deserializer<serde_json::Error> = value.into_deserializer();
    if value.is_infinite() {
        T::deserialize(deserializer).ok()
    } else {
        None
    }
}

/// Appends a value.
pub(in crate::protocol) fn write_value<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
) -> Result<(), WriteError> {
    value.serialize(Serializer::new(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(mut text: &str) -> Vec<&str> {
        let mut elements = Vec::new();
        while !text.trim().is_empty() {
            let (element, rest) = split_element(text.as_bytes());
            elements.push(std::str::from_utf8(element).unwrap());
            text = std::str::from_utf8(rest).unwrap();
        }
        elements
    }

    #[test]
    fn elements_are_split_at_their_own_commas() {
        assert_eq!(
            elements(" 1 , \"a,b\" ,[2,3] , {\"x\":[4]},null "),
            ["1", "\"a,b\"", "[2,3]", "{\"x\":[4]}", "null"]
        );
    }

    #[test]
    fn numbers_bind_as_recorded() {
        assert_eq!(read_value::<i32>(b"2147483647"), Ok(2_147_483_647));
        assert_eq!(read_value::<i32>(b"-0"), Ok(0));
        for text in ["2147483648", "1.0", "1e2", "1.5", "\"5\"", "null", "true"] {
            assert!(read_value::<i32>(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(
            read_value::<i64>(b"9007199254740993"),
            Ok(9_007_199_254_740_993)
        );
        assert_eq!(read_value::<f64>(b"1"), Ok(1.0));
        assert_eq!(read_value::<f64>(b"1e-400"), Ok(0.0));
        assert_eq!(read_value::<f64>(b"1e400"), Ok(f64::INFINITY));
        assert_eq!(read_value::<f64>(b"-1e400"), Ok(f64::NEG_INFINITY));
        assert_eq!(
            read_value::<f64>(b"-0").map(f64::is_sign_negative),
            Ok(true)
        );
        assert!(read_value::<i64>(b"1e400").is_err());
        assert_eq!(read_value::<f32>(b"16777217"), Ok(16_777_216.0));
        assert_eq!(read_value::<Option<i32>>(b"null"), Ok(None));
        assert!(read_value::<bool>(b"1").is_err());
        assert!(read_value::<String>(br#""\ud83d""#).is_err());
    }

    #[test]
    fn an_error_does_not_repeat_the_value() {
        let error = read_value::<i32>(b"\"secret\"").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the value: not of the expected type, at column 8"
        );
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(5_000))]

        /// serde_json reads seventeen digits an ulp off without `float_roundtrip`.
        #[test]
        fn a_double_is_the_one_nearest_to_its_digits(value in 1e-12..1e12_f64) {
            let text = format!("{value:.16e}");
            proptest::prop_assert_eq!(read_value::<f64>(text.as_bytes()), Ok(value), "{}", text);
        }
    }
}
