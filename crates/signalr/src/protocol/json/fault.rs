//! What is wrong with a text that is no JSON, and where. The wording is
//! System.Text.Json's, which clients see when a handshake is malformed and
//! detailed errors are on.

use crate::protocol::ProtocolError;

/// A text that is not well-formed JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct Fault {
    /// The byte at which it shows.
    pub(super) at: usize,
    pub(super) kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    NoTokens,
    StartOfValue(u8),
    StartOfName(u8),
    AfterName(u8),
    AfterValue(u8),
    TrailingComma { object: bool },
    TooDeep { object: bool },
    OpenAtEnd,
    ValueMissingAtEnd,
    True(u8),
    False(u8),
    Null(u8),
    StringUnfinished,
    InString(u8),
    Escape(u8),
    HexDigit(u8),
    LeadingZero(u8),
    AfterSign(u8),
    AfterPoint(u8),
    AfterExponent(u8),
    EndOfNumber(u8),
    DigitMissingAtEnd,
}

impl From<Fault> for ProtocolError {
    /// Hub messages do not say what is wrong with them.
    fn from(_: Fault) -> Self {
        Self::invalid_data("Error reading JSON.")
    }
}

impl Fault {
    /// The fault in System.Text.Json's words, with its place in `text`.
    pub(in crate::protocol) fn describe(self, text: &[u8]) -> String {
        let before = &text[..self.at.min(text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count();
        let column = before
            .iter()
            .rev()
            .take_while(|byte| **byte != b'\n')
            .count();
        format!(
            "{} LineNumber: {line} | BytePositionInLine: {column}.",
            self.kind.wording()
        )
    }
}

impl FaultKind {
    fn wording(self) -> String {
        let shown = |byte: u8| match byte {
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("0x{byte:02X}"),
        };
        let of = |object| if object { "object" } else { "array" };
        match self {
            Self::NoTokens => "The input does not contain any JSON tokens. Expected the input to \
                start with a valid JSON token, when isFinalBlock is true."
                .to_owned(),
            Self::StartOfValue(byte) => {
                format!("'{}' is an invalid start of a value.", shown(byte))
            }
            Self::StartOfName(byte) => format!(
                "'{}' is an invalid start of a property name. Expected a '\"'.",
                shown(byte)
            ),
            Self::AfterName(byte) => {
                format!(
                    "'{}' is invalid after a property name. Expected a ':'.",
                    shown(byte)
                )
            }
            Self::AfterValue(byte) => format!(
                "'{}' is invalid after a value. Expected either ',', '}}', or ']'.",
                shown(byte)
            ),
            Self::TrailingComma { object } => format!(
                "The JSON {} contains a trailing comma at the end which is not supported in this \
                 mode. Change the reader options.",
                of(object)
            ),
            Self::TooDeep { object } => format!(
                "The maximum configured depth of {} has been exceeded. Cannot read next JSON {}.",
                super::reader::MAX_DEPTH,
                of(object)
            ),
            Self::OpenAtEnd => "Expected depth to be zero at the end of the JSON payload. There \
                is an open JSON object or array that should be closed."
                .to_owned(),
            Self::ValueMissingAtEnd => {
                "Expected start of a property name or value, but instead reached end of data."
                    .to_owned()
            }
            Self::True(byte) => literal_wording(&shown(byte), "true"),
            Self::False(byte) => literal_wording(&shown(byte), "false"),
            Self::Null(byte) => literal_wording(&shown(byte), "null"),
            other => other.scalar_wording(shown),
        }
    }

    /// The faults inside strings and numbers.
    fn scalar_wording(self, shown: impl Fn(u8) -> String) -> String {
        const ESCAPED: &str = "The string should be correctly escaped.";
        match self {
            Self::InString(byte) => {
                format!(
                    "'{}' is invalid within a JSON string. {ESCAPED}",
                    shown(byte)
                )
            }
            Self::Escape(byte) => format!(
                "'{}' is an invalid escapable character within a JSON string. {ESCAPED}",
                shown(byte)
            ),
            Self::HexDigit(byte) => format!(
                "'{}' is not a hex digit following '\\u' within a JSON string. {ESCAPED}",
                shown(byte)
            ),
            Self::LeadingZero(byte) => format!("Invalid leading zero before '{}'.", shown(byte)),
            Self::AfterSign(byte) => format!(
                "'{}' is invalid within a number, immediately after a sign character ('+' or '-'). \
                 Expected a digit ('0'-'9').",
                shown(byte)
            ),
            Self::AfterPoint(byte) => format!(
                "'{}' is invalid within a number, immediately after a decimal point ('.'). \
                 Expected a digit ('0'-'9').",
                shown(byte)
            ),
            Self::EndOfNumber(byte) | Self::AfterExponent(byte) => {
                format!(
                    "'{}' is an invalid end of a number. Expected a delimiter.",
                    shown(byte)
                )
            }
            Self::DigitMissingAtEnd => {
                "Expected a digit ('0'-'9'), but instead reached end of data.".to_owned()
            }
            _ => "Expected end of string, but instead reached end of data.".to_owned(),
        }
    }
}

fn literal_wording(shown: &str, literal: &str) -> String {
    format!("'{shown}' is an invalid JSON literal. Expected the literal '{literal}'.")
}
