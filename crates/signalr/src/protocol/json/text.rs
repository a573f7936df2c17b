//! A JSON string as it stands in the message, and its decoding.

use std::borrow::Cow;

use crate::protocol::ProtocolError;

/// What stands between the quotation marks of a well-formed JSON string.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(raw: &'a [u8], escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// The name of a property; empty for one that is no text, since that is
    /// none of the protocol's.
    pub(in crate::protocol) fn name(self) -> Cow<'a, [u8]> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        match self.decode() {
            Ok(name) => Cow::Owned(name.into_owned().into_bytes()),
            Err(_) => Cow::Borrowed(&[]),
        }
    }

    /// The string itself, borrowed where nothing in it is escaped.
    ///
    /// # Errors
    /// Text that is not UTF-8, or a surrogate without its other half: .NET
    /// reports both only now, and not as an error in the JSON.
    pub(in crate::protocol) fn decode(self) -> Result<Cow<'a, str>, ProtocolError> {
        let text = std::str::from_utf8(self.raw)
            .map_err(|_| refused("Cannot transcode invalid UTF-8 JSON text to UTF-16 string."))?;
        if !self.escaped {
            return Ok(Cow::Borrowed(text));
        }
        let mut decoded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(backslash) = memchr::memchr(b'\\', rest.as_bytes()) {
            decoded.push_str(&rest[..backslash]);
            let (character, after) = unescape(&rest[backslash + 1..])?;
            decoded.push(character);
            rest = after;
        }
        decoded.push_str(rest);
        Ok(Cow::Owned(decoded))
    }
}

/// Decodes what follows a backslash; gives the character and the rest.
fn unescape(text: &str) -> Result<(char, &str), ProtocolError> {
    let (escape, rest) = text.split_at(1);
    let character = match escape {
        "b" => '\u{8}',
        "f" => '\u{c}',
        "n" => '\n',
        "r" => '\r',
        "t" => '\t',
        "u" => return unescape_unit(rest),
        // The quotation mark, the backslash and the slash stand for themselves.
        _ => char::from(escape.as_bytes()[0]),
    };
    Ok((character, rest))
}

fn unescape_unit(text: &str) -> Result<(char, &str), ProtocolError> {
    let (unit, rest) = split_unit(text);
    if let Some(character) = char::from_u32(unit) {
        return Ok((character, rest));
    }
    if unit >= 0xdc00 {
        return Err(invalid_surrogate(unit));
    }
    let Some(low) = rest.strip_prefix("\\u") else {
        return Err(refused(
            "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.",
        ));
    };
    let (low, rest) = split_unit(low);
    if !(0xdc00..=0xdfff).contains(&low) {
        return Err(invalid_surrogate(low));
    }
    let scalar = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    let character = char::from_u32(scalar).expect("a surrogate pair stands for a character");
    Ok((character, rest))
}

fn split_unit(text: &str) -> (u32, &str) {
    let (digits, rest) = text.split_at(4);
    (
        u32::from_str_radix(digits, 16).expect("the reader has seen four hex digits"),
        rest,
    )
}

fn invalid_surrogate(unit: u32) -> ProtocolError {
    refused(format!(
        "Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: '0x{unit:X}'."
    ))
}

fn refused(message: impl Into<String>) -> ProtocolError {
    ProtocolError {
        exception: "InvalidOperationException",
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(raw: &str) -> Result<String, String> {
        Text::new(raw.as_bytes(), raw.contains('\\'))
            .decode()
            .map(Cow::into_owned)
            .map_err(|error| error.message)
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(
            decoded(r#"a\"\\\/\b\f\n\r\t\u00e9z"#).unwrap(),
            "a\"\\/\u{8}\u{c}\n\r\t\u{e9}z"
        );
        assert_eq!(decoded(r"\ud83d\ude00!").unwrap(), "\u{1f600}!");
        assert_eq!(decoded(r"\u0000").unwrap(), "\0");
    }

    #[test]
    fn what_needs_no_decoding_is_borrowed() {
        let text = Text::new("caf\u{e9}".as_bytes(), false);
        assert!(matches!(text.decode().unwrap(), Cow::Borrowed("caf\u{e9}")));
    }

    #[test]
    fn half_a_surrogate_pair_is_refused() {
        let missing =
            "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.";
        assert_eq!(decoded(r"\ud83d").unwrap_err(), missing);
        assert_eq!(decoded(r"\ud83dx").unwrap_err(), missing);
        assert!(decoded(r"\ude00").unwrap_err().ends_with("'0xDE00'."));
        assert!(decoded(r"\ud83d\u0041").unwrap_err().ends_with("'0x41'."));
    }

    #[test]
    fn invalid_utf8_is_refused_when_decoded() {
        let error = Text::new(b"a\xff", false).decode().unwrap_err();
        assert_eq!(error.exception, "InvalidOperationException");
    }
}
