//! JSON text written inside a message: without white space, strings escaped
//! anew, numbers digit for digit as they came. That is what System.Text.Json
//! makes of a `JsonElement`.

use serde::ser::{Impossible, Serialize, Serializer};

use super::escape::write_string;
use super::fault::Fault;
use super::members::ReadError;
use super::reader::{Kind, Reader};
use crate::protocol::WriteError;

/// Takes one string, the JSON text. Says of itself that it is not for humans,
/// by which [`super::RawJson`] knows that it may hand over its text.
pub(super) struct RawText<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> RawText<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) -> Result<(), WriteError> {
    let mut reader = Reader::new(text.as_bytes());
    copy_value(out, &mut reader).map_err(|error| {
        WriteError::Value(match error {
            ReadError::Fault(fault) => fault.describe(text.as_bytes()),
            ReadError::Protocol(error) => error.message,
        })
    })?;
    if text.as_bytes()[reader.position()..]
        .trim_ascii_start()
        .is_empty()
    {
        Ok(())
    } else {
        Err(WriteError::Value(
            "more than one value in raw JSON".to_owned(),
        ))
    }
}

fn copy_value(out: &mut Vec<u8>, reader: &mut Reader<'_>) -> Result<(), ReadError> {
    match reader.kind()? {
        Kind::Object => {
            reader.enter_object()?;
            out.push(b'{');
            let mut first = true;
            while let Some(name) = reader.next_name()? {
                separate(out, &mut first);
                write_string(out, &name.decode()?);
                out.push(b':');
                copy_value(out, reader)?;
            }
            out.push(b'}');
        }
        Kind::Array => {
            reader.enter_array()?;
            out.push(b'[');
            let mut first = true;
            while reader.next_element()? {
                separate(out, &mut first);
                copy_value(out, reader)?;
            }
            out.push(b']');
        }
        Kind::String => write_string(out, &reader.string()?.decode()?),
        Kind::Number => out.extend_from_slice(reader.number()?),
        Kind::True | Kind::False | Kind::Null => copy_literal(out, reader)?,
    }
    Ok(())
}

fn copy_literal(out: &mut Vec<u8>, reader: &mut Reader<'_>) -> Result<(), Fault> {
    let start = reader.position();
    reader.skip_value()?;
    out.extend_from_slice(reader.since(start));
    Ok(())
}

fn separate(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

fn no_text<T>() -> Result<T, WriteError> {
    Err(WriteError::Value("raw JSON must be a text".to_owned()))
}

macro_rules! refused {
    ($($method:ident($($type:ty),*) $(-> $compound:ident)?;)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<refused!(@ $($compound)?), WriteError> {
            no_text()
        }
    )*};
    (@) => { () };
    (@ $compound:ident) => { Self::$compound };
}

impl Serializer for RawText<'_> {
    type Ok = ();
    type Error = WriteError;
    type SerializeSeq = Impossible<(), WriteError>;
    type SerializeTuple = Impossible<(), WriteError>;
    type SerializeTupleStruct = Impossible<(), WriteError>;
    type SerializeTupleVariant = Impossible<(), WriteError>;
    type SerializeMap = Impossible<(), WriteError>;
    type SerializeStruct = Impossible<(), WriteError>;
    type SerializeStructVariant = Impossible<(), WriteError>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_str(self, value: &str) -> Result<(), WriteError> {
        write_text(self.out, value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), WriteError> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), WriteError> {
        no_text()
    }

    refused! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }
}
