//! A strict JSON reader over bytes in memory: finds where each value begins
//! and ends, and nothing more; strings and numbers are in `scalar.rs`. The grammar is RFC 8259 without extensions, at
//! most [`MAX_DEPTH`] objects and arrays deep, so its recursion is bounded.
//! Like System.Text.Json's reader it does not look inside strings for valid
//! UTF-8: that is checked when a string is decoded.

use super::fault::{Fault, FaultKind};
use super::text::Text;

/// The deepest nesting, the message itself included.
pub(super) const MAX_DEPTH: u8 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

impl Kind {
    /// The kind as .NET's messages call it.
    pub(in crate::protocol) fn name(self) -> &'static str {
        match self {
            Self::Object => "Object",
            Self::Array => "Array",
            Self::String => "String",
            Self::Number => "Number",
            Self::True => "True",
            Self::False => "False",
            Self::Null => "Null",
        }
    }
}

#[derive(Debug)]
pub(in crate::protocol) struct Reader<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) depth: u8,
    /// The last token opened an object or an array, so no comma may follow.
    pub(super) opened: bool,
}

impl<'a> Reader<'a> {
    pub(in crate::protocol) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            opened: false,
        }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The text from an earlier position up to this one.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.text[start..self.at]
    }

    /// Goes to the next value and tells from its first byte what it is.
    pub(in crate::protocol) fn kind(&mut self) -> Result<Kind, Fault> {
        self.skip_whitespace();
        match self.text.get(self.at) {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't') => Ok(Kind::True),
            Some(b'f') => Ok(Kind::False),
            Some(b'n') => Ok(Kind::Null),
            Some(byte) => Err(self.fault(FaultKind::StartOfValue(*byte))),
            None if self.depth == 0 => Err(self.fault(FaultKind::NoTokens)),
            None => Err(self.fault(FaultKind::ValueMissingAtEnd)),
        }
    }

    /// Goes past the next value, whatever it is.
    pub(in crate::protocol) fn skip_value(&mut self) -> Result<(), Fault> {
        match self.kind()? {
            Kind::Object => {
                self.enter_object()?;
                while self.next_name()?.is_some() {
                    self.skip_value()?;
                }
                Ok(())
            }
            Kind::Array => {
                self.enter_array()?;
                while self.next_element()? {
                    self.skip_value()?;
                }
                Ok(())
            }
            Kind::String => self.string().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::True => self.literal("true", FaultKind::True),
            Kind::False => self.literal("false", FaultKind::False),
            Kind::Null => self.literal("null", FaultKind::Null),
        }
    }

    /// Enters the object at which [`Self::kind`] stopped.
    pub(in crate::protocol) fn enter_object(&mut self) -> Result<(), Fault> {
        self.enter(FaultKind::TooDeep { object: true })
    }

    /// Enters the array at which [`Self::kind`] stopped.
    pub(super) fn enter_array(&mut self) -> Result<(), Fault> {
        self.enter(FaultKind::TooDeep { object: false })
    }

    /// The name of the next member of the entered object, the reader then
    /// being in front of its value; or leaves the object.
    pub(in crate::protocol) fn next_name(&mut self) -> Result<Option<Text<'a>>, Fault> {
        if !self.next_item(b'}')? {
            return Ok(None);
        }
        match self.text.get(self.at) {
            Some(b'"') => {}
            Some(b'}') => return Err(self.fault(FaultKind::TrailingComma { object: true })),
            Some(byte) => return Err(self.fault(FaultKind::StartOfName(*byte))),
            None => return Err(self.fault(FaultKind::ValueMissingAtEnd)),
        }
        let name = self.string()?;
        self.skip_whitespace();
        match self.text.get(self.at) {
            Some(b':') => self.at += 1,
            Some(byte) => return Err(self.fault(FaultKind::AfterName(*byte))),
            None => return Err(self.fault(FaultKind::OpenAtEnd)),
        }
        Ok(Some(name))
    }

    /// Goes in front of the next element of the entered array, or leaves it.
    pub(super) fn next_element(&mut self) -> Result<bool, Fault> {
        let found = self.next_item(b']')?;
        if found && self.text.get(self.at) == Some(&b']') {
            return Err(self.fault(FaultKind::TrailingComma { object: false }));
        }
        Ok(found)
    }

    fn enter(&mut self, too_deep: FaultKind) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault(too_deep));
        }
        self.depth += 1;
        self.at += 1;
        self.opened = true;
        Ok(())
    }

    /// Goes over the comma to the next item, or over the closing bracket.
    #[inline]
    fn next_item(&mut self, close: u8) -> Result<bool, Fault> {
        self.skip_whitespace();
        match self.text.get(self.at) {
            Some(byte) if *byte == close => {
                self.at += 1;
                self.depth -= 1;
                self.opened = false;
                Ok(false)
            }
            Some(_) if self.opened => {
                self.opened = false;
                Ok(true)
            }
            Some(b',') => {
                self.at += 1;
                self.skip_whitespace();
                Ok(true)
            }
            Some(byte) => Err(self.fault(FaultKind::AfterValue(*byte))),
            None => Err(self.fault(FaultKind::OpenAtEnd)),
        }
    }

    #[inline]
    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    #[cold]
    pub(super) fn fault(&self, kind: FaultKind) -> Fault {
        Fault { at: self.at, kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> bool {
        let mut reader = Reader::new(text.as_bytes());
        reader.skip_value().is_ok() && reader.position() == text.len()
    }

    #[test]
    fn well_formed_values_are_read_to_their_end() {
        for text in [
            "0",
            "-0",
            "10.5e-7",
            "1E+2",
            "true",
            "false",
            "null",
            r#""""#,
            r#""a\u00e9\n""#,
            "[]",
            "{}",
            "[ 1 , [ ] , { } ]",
            r#"{ "a" : [ { "b" : null } ] , "" : 1 }"#,
        ] {
            assert!(reads(text), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            " ",
            "01",
            "+1",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "0x1",
            "1a",
            "nope",
            "tru",
            "NaN",
            "'a'",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"a\nb\"",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "{,}",
            "[}",
            "{]",
            "/*c*/1",
            "\u{feff}1",
        ] {
            assert!(!reads(text), "{text}");
        }
    }

    #[test]
    fn sixty_four_levels_are_read_and_no_more() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(reads(&nested(64)));
        assert!(!reads(&nested(65)));
        assert!(!reads(&"[".repeat(1_000_000)));
    }
}
