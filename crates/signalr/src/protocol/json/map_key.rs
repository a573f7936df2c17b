//! The keys of maps: strings as they are; numbers, truth values and characters
//! as strings; nothing else has a form.

use serde::ser::{Impossible, Serialize, Serializer};

use super::escape::write_string;
use crate::protocol::WriteError;

pub(super) struct MapKey<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> MapKey<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }
}

fn no_key<T>() -> Result<T, WriteError> {
    Err(WriteError::Value(
        "a key of a JSON object must be a string or a number".to_owned(),
    ))
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Result<(), WriteError> {
            self.serialize_str(itoa::Buffer::new().format(value))
        }
    )*};
}

impl Serializer for MapKey<'_> {
    type Ok = ();
    type Error = WriteError;
    type SerializeSeq = Impossible<(), WriteError>;
    type SerializeTuple = Impossible<(), WriteError>;
    type SerializeTupleStruct = Impossible<(), WriteError>;
    type SerializeTupleVariant = Impossible<(), WriteError>;
    type SerializeMap = Impossible<(), WriteError>;
    type SerializeStruct = Impossible<(), WriteError>;
    type SerializeStructVariant = Impossible<(), WriteError>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_u128: u128
    }

    fn serialize_str(self, value: &str) -> Result<(), WriteError> {
        write_string(self.out, value);
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), WriteError> {
        self.serialize_str(if value { "true" } else { "false" })
    }

    fn serialize_char(self, value: char) -> Result<(), WriteError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), WriteError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), WriteError> {
        value.serialize(self)
    }

    fn serialize_f32(self, _: f32) -> Result<(), WriteError> {
        no_key()
    }

    fn serialize_f64(self, _: f64) -> Result<(), WriteError> {
        no_key()
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), WriteError> {
        no_key()
    }

    fn serialize_none(self) -> Result<(), WriteError> {
        no_key()
    }

    fn serialize_unit(self) -> Result<(), WriteError> {
        no_key()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), WriteError> {
        no_key()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), WriteError> {
        no_key()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, WriteError> {
        no_key()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, WriteError> {
        no_key()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, WriteError> {
        no_key()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, WriteError> {
        no_key()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, WriteError> {
        no_key()
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, WriteError> {
        no_key()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, WriteError> {
        no_key()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::protocol::json::write_value;

    #[test]
    fn a_key_that_is_no_text_is_refused() {
        assert!(write_value(&mut Vec::new(), &BTreeMap::from([(vec![1], 1)])).is_err());
        assert!(write_value(&mut Vec::new(), &BTreeMap::from([(None::<u8>, 1)])).is_err());
    }
}
