//! Single values: argument by argument, into the types that want them, and
//! back to bytes. Structs are maps by name, enums strings, bytes `bin`; types
//! that have a form for people (dates, addresses) have the same as in JSON.

use rmp_serde::config::{DefaultConfig, HumanReadableConfig, StructMapConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::reader::{MAX_DEPTH, Reader};
use crate::protocol::{BindError, WriteError};

/// Splits the first element off the items of an array. The bytes were read
/// once already, so there is an element.
pub(in crate::protocol) fn split_element(elements: &[u8]) -> (&[u8], &[u8]) {
    let mut reader = Reader::new(elements);
    match reader.skip(0) {
        Ok(()) => elements.split_at(reader.position()),
        Err(_) => (elements, &[]),
    }
}

/// Reads a value. Errors name no content: arguments can hold anything.
pub(in crate::protocol) fn read_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BindError> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    deserializer.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut deserializer).map_err(|_| BindError("not of the expected type".to_owned()))
}

/// Appends a value.
pub(in crate::protocol) fn write_value<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
) -> Result<(), WriteError> {
    type Config = HumanReadableConfig<StructMapConfig<DefaultConfig>>;
    let mut serializer: rmp_serde::Serializer<_, Config> = rmp_serde::Serializer::new(out)
        .with_struct_map()
        .with_human_readable();
    value
        .serialize(&mut serializer)
        .map_err(|error| WriteError::Value(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Notification {
        analysis_id: i32,
        score: Option<f64>,
        status: Status,
        tags: BTreeMap<String, u8>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Status {
        Completed,
    }

    fn packed<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        write_value(&mut out, value).unwrap();
        out
    }

    #[test]
    fn structs_are_maps_and_enums_strings() {
        let value = Notification {
            analysis_id: 7,
            score: None,
            status: Status::Completed,
            tags: BTreeMap::from([("a".to_owned(), 1)]),
        };
        let bytes = packed(&value);
        assert_eq!(
            bytes,
            b"\x84\xaaanalysisId\x07\xa5score\xc0\xa6status\xa9Completed\xa4tags\x81\xa1a\x01"
        );
        assert_eq!(read_value::<Notification>(&bytes), Ok(value));
    }

    #[test]
    fn bytes_are_binary_and_addresses_text() {
        assert_eq!(packed(serde_bytes::Bytes::new(&[1, 2])), [0xc4, 2, 1, 2]);
        assert_eq!(packed(&Ipv4Addr::LOCALHOST), b"\xa9127.0.0.1");
        assert_eq!(
            read_value::<Ipv4Addr>(b"\xa9127.0.0.1"),
            Ok(Ipv4Addr::LOCALHOST)
        );
    }

    #[test]
    fn nil_is_none_and_nothing_else() {
        assert_eq!(read_value::<Option<i32>>(&[0xc0]), Ok(None));
        assert_eq!(read_value::<()>(&[0xc0]), Ok(()));
        assert!(read_value::<i32>(&[0xc0]).is_err());
        assert!(read_value::<String>(&[0xc0]).is_err());
    }

    #[test]
    fn an_error_does_not_repeat_the_value() {
        let error = read_value::<i32>(b"\xa6secret").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the value: not of the expected type"
        );
    }

    #[test]
    fn elements_are_split() {
        assert_eq!(
            split_element(&[0x92, 1, 0xa1, b'x', 0xc0]),
            (&[0x92, 1, 0xa1, b'x'][..], &[0xc0][..])
        );
    }
}
