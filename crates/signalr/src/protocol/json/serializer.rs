//! Any serialisable value as System.Text.Json would write it: .NET's numbers
//! and escapes, bytes as base64, no number that is not finite. Writes straight
//! into the message.

use base64::Engine as _;
use serde::ser;

use super::compound::{Array, Object, RawOr};
use super::escape::write_string;
use super::number::{write_f32, write_f64};
use super::raw_json::RAW_JSON;
use super::raw_text::RawText;
use crate::protocol::WriteError;

/// The name by which serde_json's `RawValue` announces itself.
pub(super) const RAW_VALUE: &str = "$serde_json::private::RawValue";

pub(super) struct Serializer<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Serializer<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    fn literal(self, text: &[u8]) -> Result<(), WriteError> {
        self.out.extend_from_slice(text);
        Ok(())
    }

    /// Opens `{"variant":`, which the caller has to close.
    fn open_variant(&mut self, variant: &str) {
        self.out.push(b'{');
        write_string(self.out, variant);
        self.out.push(b':');
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Result<(), WriteError> {
            self.literal(itoa::Buffer::new().format(value).as_bytes())
        }
    )*};
}

impl<'o> ser::Serializer for Serializer<'o> {
    type Ok = ();
    type Error = WriteError;
    type SerializeSeq = Array<'o>;
    type SerializeTuple = Array<'o>;
    type SerializeTupleStruct = Array<'o>;
    type SerializeTupleVariant = Array<'o>;
    type SerializeMap = Object<'o>;
    type SerializeStruct = RawOr<'o>;
    type SerializeStructVariant = Object<'o>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_u128: u128
    }

    fn serialize_bool(self, value: bool) -> Result<(), WriteError> {
        self.literal(if value { b"true" } else { b"false" })
    }

    fn serialize_f32(self, value: f32) -> Result<(), WriteError> {
        if !value.is_finite() {
            return Err(WriteError::NotFinite);
        }
        write_f32(self.out, value);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), WriteError> {
        if !value.is_finite() {
            return Err(WriteError::NotFinite);
        }
        write_f64(self.out, value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), WriteError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), WriteError> {
        write_string(self.out, value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), WriteError> {
        let text = base64::engine::general_purpose::STANDARD.encode(value);
        self.serialize_str(&text)
    }

    fn serialize_none(self) -> Result<(), WriteError> {
        self.literal(b"null")
    }

    fn serialize_some<T: ser::Serialize + ?Sized>(self, value: &T) -> Result<(), WriteError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), WriteError> {
        self.literal(b"null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), WriteError> {
        self.literal(b"null")
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), WriteError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: ser::Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        if name == RAW_JSON {
            return value.serialize(RawText::new(self.out));
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ser::Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        self.open_variant(variant);
        value.serialize(Serializer::new(self.out))?;
        self.out.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Array<'o>, WriteError> {
        Ok(Array::open(self.out, b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Array<'o>, WriteError> {
        Ok(Array::open(self.out, b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Array<'o>, WriteError> {
        Ok(Array::open(self.out, b"]"))
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Array<'o>, WriteError> {
        self.open_variant(variant);
        Ok(Array::open(self.out, b"]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Object<'o>, WriteError> {
        Ok(Object::open(self.out, b"}"))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<RawOr<'o>, WriteError> {
        Ok(if name == RAW_VALUE {
            RawOr::Raw(self.out)
        } else {
            RawOr::Object(Object::open(self.out, b"}"))
        })
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Object<'o>, WriteError> {
        self.open_variant(variant);
        Ok(Object::open(self.out, b"}}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use crate::protocol::json::write_value;

    fn written<T: Serialize + ?Sized>(value: &T) -> String {
        let mut out = Vec::new();
        write_value(&mut out, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Thing {
        text: Option<&'static str>,
        double: f64,
        float: f32,
        mixed_case: bool,
        nested: BTreeMap<u8, [i64; 2]>,
    }

    #[derive(Serialize)]
    enum Shape {
        Unit,
        One(u8),
        Two(u8, u8),
        Named { a: u8 },
    }

    #[test]
    fn structs_and_maps_are_objects() {
        let thing = Thing {
            text: None,
            double: 0.1,
            float: 0.1,
            mixed_case: true,
            nested: BTreeMap::from([(7, [1, i64::MIN])]),
        };
        assert_eq!(
            written(&thing),
            r#"{"text":null,"double":0.1,"float":0.1,"mixedCase":true,"nested":{"7":[1,-9223372036854775808]}}"#
        );
        assert_eq!(written(&BTreeMap::from([(true, 1)])), r#"{"true":1}"#);
        assert_eq!(written(&BTreeMap::<String, u8>::new()), "{}");
    }

    #[test]
    fn enums_are_written_as_serde_json_does() {
        let shapes = [
            Shape::Unit,
            Shape::One(1),
            Shape::Two(1, 2),
            Shape::Named { a: 1 },
        ];
        assert_eq!(written(&shapes), serde_json::to_string(&shapes).unwrap());
    }

    #[test]
    fn bytes_are_base64() {
        assert_eq!(
            written(serde_bytes::Bytes::new(&[0, 1, 2, 250, 251, 252])),
            r#""AAEC+vv8""#
        );
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(write_value(&mut Vec::new(), &[value]).is_err());
        }
        assert!(write_value(&mut Vec::new(), &f32::INFINITY).is_err());
    }
}
