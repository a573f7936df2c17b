//! The reader's strings, numbers and literals: their grammar, not their values.

use super::fault::{Fault, FaultKind};
use super::reader::Reader;
use super::run::literal_run;
use super::text::Text;

impl<'a> Reader<'a> {
    /// The string at which [`Self::kind`] stopped.
    pub(in crate::protocol) fn string(&mut self) -> Result<Text<'a>, Fault> {
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        loop {
            self.at += literal_run(&self.text[self.at..]);
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.skip_escape()?;
                }
                Some(byte) => return Err(self.fault(FaultKind::InString(*byte))),
                None => return Err(self.fault(FaultKind::StringUnfinished)),
            }
        }
        let raw = self.since(start);
        self.at += 1;
        self.opened = false;
        Ok(Text::new(raw, escaped))
    }

    /// The number at which [`Self::kind`] stopped.
    pub(in crate::protocol) fn number(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.at;
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
            if let Some(byte @ b'0'..=b'9') = self.text.get(self.at) {
                return Err(self.fault(FaultKind::LeadingZero(*byte)));
            }
        } else {
            self.digits(FaultKind::AfterSign)?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits(FaultKind::AfterPoint)?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits(FaultKind::AfterExponent)?;
        }
        self.end_of_number()?;
        self.opened = false;
        Ok(self.since(start))
    }

    /// Goes past a literal of which [`Self::kind`] has seen the first letter.
    pub(super) fn literal(
        &mut self,
        literal: &'static str,
        otherwise: impl Fn(u8) -> FaultKind,
    ) -> Result<(), Fault> {
        for expected in literal.bytes() {
            match self.text.get(self.at) {
                Some(byte) if *byte == expected => self.at += 1,
                found => {
                    let byte = found.copied().unwrap_or(expected);
                    return Err(self.fault(otherwise(byte)));
                }
            }
        }
        self.opened = false;
        Ok(())
    }

    fn skip_escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.text.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.text.get(self.at) {
                        Some(byte) if byte.is_ascii_hexdigit() => self.at += 1,
                        Some(byte) => return Err(self.fault(FaultKind::HexDigit(*byte))),
                        None => return Err(self.fault(FaultKind::StringUnfinished)),
                    }
                }
            }
            Some(byte) => return Err(self.fault(FaultKind::Escape(*byte))),
            None => return Err(self.fault(FaultKind::StringUnfinished)),
        }
        Ok(())
    }

    /// Goes past one digit or more.
    fn digits(&mut self, otherwise: impl Fn(u8) -> FaultKind) -> Result<(), Fault> {
        match self.text.get(self.at) {
            Some(b'0'..=b'9') => {}
            Some(byte) => return Err(self.fault(otherwise(*byte))),
            None => return Err(self.fault(FaultKind::DigitMissingAtEnd)),
        }
        while let Some(b'0'..=b'9') = self.text.get(self.at) {
            self.at += 1;
        }
        Ok(())
    }

    /// A number may end the text only where it is the whole text.
    fn end_of_number(&self) -> Result<(), Fault> {
        match self.text.get(self.at) {
            Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') => Ok(()),
            Some(byte) => Err(self.fault(FaultKind::EndOfNumber(*byte))),
            None if self.depth == 0 => Ok(()),
            None => Err(self.fault(FaultKind::EndOfNumber(self.text[self.at - 1]))),
        }
    }
}
