//! What can be sent as the arguments of an invocation: tuples, and sequences
//! of one type. Each is written as one array by either encoding.

use serde::Serialize;

use super::{Arguments, WriteError, json, messagepack};

impl<A: Arguments + ?Sized> Arguments for &A {
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        (**self).write_json(out)
    }

    fn write_messagepack(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        (**self).write_messagepack(out)
    }
}

impl<T: Serialize> Arguments for [T] {
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        json::write_value(out, self)
    }

    fn write_messagepack(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        messagepack::write_array_len(out, self.len());
        self.iter()
            .try_for_each(|argument| messagepack::write_value(out, argument))
    }
}

impl<T: Serialize> Arguments for Vec<T> {
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.as_slice().write_json(out)
    }

    fn write_messagepack(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.as_slice().write_messagepack(out)
    }
}

impl<T: Serialize, const N: usize> Arguments for [T; N] {
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.as_slice().write_json(out)
    }

    fn write_messagepack(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.as_slice().write_messagepack(out)
    }
}

impl Arguments for () {
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        out.extend_from_slice(b"[]");
        Ok(())
    }

    fn write_messagepack(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        messagepack::write_array_len(out, 0);
        Ok(())
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),+))*) => {$(
        impl<$($name: Serialize),+> Arguments for ($($name,)+) {
            fn write_json(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
                json::write_value(out, self)
            }

            fn write_messagepack(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
                messagepack::write_array_len(out, [$($index),+].len());
                $(messagepack::write_value(out, &self.$index)?;)+
                Ok(())
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both<A: Arguments + ?Sized>(arguments: &A) -> (String, Vec<u8>) {
        let (mut text, mut packed) = (Vec::new(), Vec::new());
        arguments.write_json(&mut text).unwrap();
        arguments.write_messagepack(&mut packed).unwrap();
        (String::from_utf8(text).unwrap(), packed)
    }

    #[test]
    fn arguments_are_one_array() {
        assert_eq!(both(&()), ("[]".to_owned(), vec![0x90]));
        assert_eq!(
            both(&("a",)),
            ("[\"a\"]".to_owned(), vec![0x91, 0xa1, b'a'])
        );
        assert_eq!(
            both(&(1, true, None::<u8>)),
            ("[1,true,null]".to_owned(), vec![0x93, 1, 0xc3, 0xc0])
        );
        assert_eq!(both(&(1, 2, 3, 4, 5, 6, 7, 8)).0, "[1,2,3,4,5,6,7,8]");
        assert_eq!(
            both(&vec![serde_json::json!({"a": 1})]),
            ("[{\"a\":1}]".to_owned(), vec![0x91, 0x81, 0xa1, b'a', 1])
        );
        assert_eq!(both(&&[1, 2]), ("[1,2]".to_owned(), vec![0x92, 1, 2]));
        assert_eq!(both(&[1_u8, 2][..]), ("[1,2]".to_owned(), vec![0x92, 1, 2]));
    }
}
