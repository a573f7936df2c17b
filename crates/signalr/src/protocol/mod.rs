//! The SignalR hub protocol: bytes to messages and back.
//!
//! This module owns the wire formats: the handshake, the JSON and the
//! MessagePack encodings of all nine message types. It is pure: no I/O, no
//! clock, no runtime. Parsing borrows from the input; arguments, items and
//! results stay raw ([`RawValue`]) and are deserialised once, into the types
//! of the method that takes them.
//!
//! Specification: `HubProtocol.md` in dotnet/aspnetcore. Where ASP.NET Core's
//! server and the text differ, this follows the server, since that is what
//! clients were written against.

mod message;
mod arguments;
pub mod handshake;
mod json;
mod messagepack;

use serde::Serialize;

pub use json::RawJson;
pub use message::{
    Arguments, Completion, CompletionOutcome, Headers, HubMessage, Invocation, Parsed,
    RawArguments, RawArgumentsIter, RawValue, StreamItem,
};

/// What a transport can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferFormat {
    /// UTF-8 text: every transport.
    Text,
    /// Arbitrary bytes: WebSockets and long polling.
    Binary,
}

/// An encoding of hub messages, chosen by the client in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HubProtocol {
    /// `json`: UTF-8 text, each message ended by U+001E.
    Json,
    /// `messagepack`: binary, each message preceded by its length as a VarInt.
    MessagePack,
}

/// The highest version of both encodings that the server speaks. Version 2
/// adds Ack and Sequence (stateful reconnect) to version 1.
pub const MAX_VERSION: i32 = 2;

/// Bytes that are no hub message. The connection is closed; the text is what
/// ASP.NET Core's server says for the same fault (shown to the client only
/// with detailed errors).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProtocolError {
    /// The .NET exception type that clients see with detailed errors,
    /// e.g. `InvalidDataException`.
    pub exception: &'static str,
    /// What is wrong.
    pub message: String,
}

impl ProtocolError {
    /// A fault that ASP.NET Core reports as `InvalidDataException`.
    #[must_use]
    pub fn invalid_data(message: impl Into<String>) -> Self {
        Self {
            exception: "InvalidDataException",
            message: message.into(),
        }
    }
}

/// Why a value could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// JSON has no form for a number that is not finite.
    #[error(
        ".NET number values such as positive and negative infinity cannot be written as valid JSON. \
         To make it work when using 'JsonSerializer', consider specifying \
         'JsonNumberHandling.AllowNamedFloatingPointLiterals' (see https://learn.microsoft.com/\
         dotnet/api/system.text.json.serialization.jsonnumberhandling)."
    )]
    NotFinite,
    /// Its `Serialize` failed, or the encoding has no form for it.
    #[error("cannot write the value: {0}")]
    Value(String),
}

impl WriteError {
    /// The .NET exception that ASP.NET Core reports for it.
    #[must_use]
    pub fn exception(&self) -> &'static str {
        match self {
            Self::NotFinite => "ArgumentException",
            Self::Value(_) => "InvalidDataException",
        }
    }
}

impl serde::ser::Error for WriteError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }
}

/// Raw bytes that are no value of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the value: {0}")]
pub struct BindError(pub String);

impl HubProtocol {
    /// Both encodings, in the order in which frames are kept for them.
    pub const ALL: [Self; 2] = [Self::Json, Self::MessagePack];

    /// Its place in [`ALL`](Self::ALL).
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Json => 0,
            Self::MessagePack => 1,
        }
    }

    /// The encoding of that name; letter case does not matter.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }

    /// The name in the handshake.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "messagepack",
        }
    }

    /// What a transport must carry for this encoding.
    #[must_use]
    pub fn transfer_format(self) -> TransferFormat {
        match self {
            Self::Json => TransferFormat::Text,
            Self::MessagePack => TransferFormat::Binary,
        }
    }

    /// Reads the first message of `input`, framing included.
    ///
    /// A message that is not all there yet gives [`Parsed::Incomplete`];
    /// the same bytes cut anywhere give the same messages. A message of an
    /// unknown type is skipped ([`Parsed::Unknown`]), as the protocol's
    /// versioning asks.
    ///
    /// # Errors
    /// [`ProtocolError`] for bytes that are no hub message.
    pub fn parse(self, input: &[u8]) -> Result<Parsed<'_>, ProtocolError> {
        match self {
            Self::Json => json::parse(input),
            Self::MessagePack => messagepack::parse(input),
        }
    }

    /// Appends an Invocation.
    ///
    /// # Errors
    /// [`WriteError`] when an argument cannot be written; `out` is as before then.
    pub fn write_invocation<A: Arguments + ?Sized>(
        self,
        out: &mut Vec<u8>,
        invocation_id: Option<&str>,
        target: &str,
        arguments: &A,
        stream_ids: &[&str],
    ) -> Result<(), WriteError> {
        match self {
            Self::Json => {
                json::write_invocation(out, 1, invocation_id, target, arguments, stream_ids)
            }
            Self::MessagePack => {
                messagepack::write_invocation(out, 1, invocation_id, target, arguments, stream_ids)
            }
        }
    }

    /// Appends a StreamInvocation (what a client sends to start a server stream).
    ///
    /// # Errors
    /// [`WriteError`] when an argument cannot be written; `out` is as before then.
    pub fn write_stream_invocation<A: Arguments + ?Sized>(
        self,
        out: &mut Vec<u8>,
        invocation_id: &str,
        target: &str,
        arguments: &A,
        stream_ids: &[&str],
    ) -> Result<(), WriteError> {
        match self {
            Self::Json => {
                json::write_invocation(out, 4, Some(invocation_id), target, arguments, stream_ids)
            }
            Self::MessagePack => messagepack::write_invocation(
                out,
                4,
                Some(invocation_id),
                target,
                arguments,
                stream_ids,
            ),
        }
    }

    /// Appends a StreamItem.
    ///
    /// # Errors
    /// [`WriteError`] when the item cannot be written; `out` is as before then.
    pub fn write_stream_item<T: Serialize + ?Sized>(
        self,
        out: &mut Vec<u8>,
        invocation_id: &str,
        item: &T,
    ) -> Result<(), WriteError> {
        match self {
            Self::Json => json::write_stream_item(out, invocation_id, item),
            Self::MessagePack => messagepack::write_stream_item(out, invocation_id, item),
        }
    }

    /// Appends a Completion with a result.
    ///
    /// # Errors
    /// [`WriteError`] when the result cannot be written; `out` is as before then.
    pub fn write_result<T: Serialize + ?Sized>(
        self,
        out: &mut Vec<u8>,
        invocation_id: &str,
        result: &T,
    ) -> Result<(), WriteError> {
        match self {
            Self::Json => json::write_result(out, invocation_id, result),
            Self::MessagePack => messagepack::write_result(out, invocation_id, result),
        }
    }

    /// Appends a Completion without a result (the end of a stream), or with an error.
    pub fn write_end(self, out: &mut Vec<u8>, invocation_id: &str, error: Option<&str>) {
        match self {
            Self::Json => json::write_end(out, invocation_id, error),
            Self::MessagePack => messagepack::write_end(out, invocation_id, error),
        }
    }

    /// Appends a CancelInvocation.
    pub fn write_cancel_invocation(self, out: &mut Vec<u8>, invocation_id: &str) {
        match self {
            Self::Json => json::write_cancel_invocation(out, invocation_id),
            Self::MessagePack => messagepack::write_cancel_invocation(out, invocation_id),
        }
    }

    /// A Ping, whole.
    #[must_use]
    pub fn ping(self) -> &'static [u8] {
        match self {
            Self::Json => b"{\"type\":6}\x1e",
            Self::MessagePack => &[0x02, 0x91, 0x06],
        }
    }

    /// Appends a Close.
    pub fn write_close(self, out: &mut Vec<u8>, error: Option<&str>, allow_reconnect: bool) {
        match self {
            Self::Json => json::write_close(out, error, allow_reconnect),
            Self::MessagePack => messagepack::write_close(out, error, allow_reconnect),
        }
    }

    /// Appends an Ack: everything up to `sequence_id` was processed.
    pub fn write_ack(self, out: &mut Vec<u8>, sequence_id: i64) {
        match self {
            Self::Json => json::write_sequence_id(out, 8, sequence_id),
            Self::MessagePack => messagepack::write_sequence_id(out, 8, sequence_id),
        }
    }

    /// Appends a Sequence: the next message has this id.
    pub fn write_sequence(self, out: &mut Vec<u8>, sequence_id: i64) {
        match self {
            Self::Json => json::write_sequence_id(out, 9, sequence_id),
            Self::MessagePack => messagepack::write_sequence_id(out, 9, sequence_id),
        }
    }
}

/// Appends `text` as a JSON string, escaped as ASP.NET Core does.
pub(crate) fn write_json_string(out: &mut Vec<u8>, text: &str) {
    json::write_string(out, text);
}
