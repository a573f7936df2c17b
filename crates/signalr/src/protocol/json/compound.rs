//! The parts of the JSON serializer that write items one after another.

use serde::ser;

use super::escape::write_string;
use super::map_key::MapKey;
use super::raw_text::RawText;
use super::serializer::Serializer;
use crate::protocol::WriteError;

/// An array being written.
pub(super) struct Array<'o> {
    out: &'o mut Vec<u8>,
    close: &'static [u8],
    first: bool,
}

impl<'o> Array<'o> {
    pub(super) fn open(out: &'o mut Vec<u8>, close: &'static [u8]) -> Self {
        out.push(b'[');
        Self {
            out,
            close,
            first: true,
        }
    }

    fn item<T: ser::Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        value.serialize(Serializer::new(self.out))
    }

    fn close(self) -> Result<(), WriteError> {
        self.out.extend_from_slice(self.close);
        Ok(())
    }
}

/// An object being written.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    close: &'static [u8],
    first: bool,
}

impl<'o> Object<'o> {
    pub(super) fn open(out: &'o mut Vec<u8>, close: &'static [u8]) -> Self {
        out.push(b'{');
        Self {
            out,
            close,
            first: true,
        }
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
    }

    fn member<T: ser::Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        self.comma();
        write_string(self.out, name);
        self.out.push(b':');
        value.serialize(Serializer::new(self.out))
    }

    fn close(self) -> Result<(), WriteError> {
        self.out.extend_from_slice(self.close);
        Ok(())
    }
}

/// A struct, or serde_json's raw value, which poses as one.
pub(super) enum RawOr<'o> {
    Raw(&'o mut Vec<u8>),
    Object(Object<'o>),
}

impl ser::SerializeStruct for RawOr<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_field<T: ser::Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        match self {
            Self::Raw(out) => value.serialize(RawText::new(out)),
            Self::Object(object) => object.member(name, value),
        }
    }

    fn end(self) -> Result<(), WriteError> {
        match self {
            Self::Raw(_) => Ok(()),
            Self::Object(object) => object.close(),
        }
    }
}

impl ser::SerializeStructVariant for Object<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_field<T: ser::Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        self.member(name, value)
    }

    fn end(self) -> Result<(), WriteError> {
        self.close()
    }
}

impl ser::SerializeMap for Object<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_key<T: ser::Serialize + ?Sized>(&mut self, key: &T) -> Result<(), WriteError> {
        self.comma();
        key.serialize(MapKey::new(self.out))
    }

    fn serialize_value<T: ser::Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        self.out.push(b':');
        value.serialize(Serializer::new(self.out))
    }

    fn end(self) -> Result<(), WriteError> {
        self.close()
    }
}

macro_rules! items {
    ($($trait:ident::$method:ident),*) => {$(
        impl ser::$trait for Array<'_> {
            type Ok = ();
            type Error = WriteError;

            fn $method<T: ser::Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
                self.item(value)
            }

            fn end(self) -> Result<(), WriteError> {
                self.close()
            }
        }
    )*};
}

items! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
}
