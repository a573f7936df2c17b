//! The nine messages of the protocol, as they are read: borrowed from the
//! input, with arguments, items and results left raw.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::{BindError, HubProtocol, WriteError, json, messagepack};

/// What [`HubProtocol::parse`] found at the start of its input.
#[derive(Debug)]
pub enum Parsed<'a> {
    /// A message; the first `consumed` bytes of the input are it.
    Message {
        /// The message.
        message: HubMessage<'a>,
        /// Its length with framing.
        consumed: usize,
    },
    /// A well-formed message of a type that this version does not know.
    Unknown {
        /// Its length with framing.
        consumed: usize,
    },
    /// No whole message yet.
    Incomplete,
}

/// A message of the hub protocol.
#[derive(Debug)]
pub enum HubMessage<'a> {
    /// 1: call a method.
    Invocation(Invocation<'a>),
    /// 2: an item of a stream.
    StreamItem(StreamItem<'a>),
    /// 3: the end of an invocation or a stream.
    Completion(Completion<'a>),
    /// 4: call a streaming method.
    StreamInvocation(Invocation<'a>),
    /// 5: stop a streaming invocation.
    CancelInvocation {
        /// The invocation to stop.
        invocation_id: Cow<'a, str>,
    },
    /// 6: keep-alive.
    Ping,
    /// 7: the peer ends the connection.
    Close {
        /// Why, where it is an error.
        error: Option<Cow<'a, str>>,
        /// Whether a client may reconnect.
        allow_reconnect: bool,
    },
    /// 8: everything up to this id was processed (stateful reconnect).
    Ack {
        /// The highest processed id.
        sequence_id: i64,
    },
    /// 9: the next message has this id (stateful reconnect).
    Sequence {
        /// The id of the next message.
        sequence_id: i64,
    },
}

/// The optional headers of a message, in the order in which they came.
/// The server uses `traceparent` and `tracestate` at most.
#[derive(Debug, Default, Clone)]
pub struct Headers<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// An Invocation or a StreamInvocation.
#[derive(Debug)]
pub struct Invocation<'a> {
    /// Headers; empty when there were none.
    pub headers: Headers<'a>,
    /// None: the caller wants no answer. An empty id counts as none. Always
    /// present on a StreamInvocation.
    pub invocation_id: Option<Cow<'a, str>>,
    /// The method, as the client spelt it.
    pub target: Cow<'a, str>,
    /// The arguments, unread.
    pub arguments: RawArguments<'a>,
    /// The client's uploads, in the order of the method's stream parameters.
    pub stream_ids: Vec<Cow<'a, str>>,
    /// A JSON Invocation that also carried a stray `item` behind its id: ASP.NET
    /// Core swallows it without any answer.
    pub stray_payload: bool,
}

/// An item of a client's upload.
#[derive(Debug)]
pub struct StreamItem<'a> {
    /// The stream.
    pub invocation_id: Cow<'a, str>,
    /// The item, unread.
    pub item: RawValue<'a>,
    /// The JSON text had `item` before `invocationId`: for an unknown stream
    /// that closes the connection, the other order is ignored.
    pub item_before_id: bool,
}

/// The end of an upload, or the answer to a client result.
#[derive(Debug)]
pub struct Completion<'a> {
    /// The stream or invocation.
    pub invocation_id: Cow<'a, str>,
    /// How it ended.
    pub outcome: CompletionOutcome<'a>,
}

/// How an invocation or a stream ended.
#[derive(Debug)]
pub enum CompletionOutcome<'a> {
    /// Without a result.
    Void,
    /// With a result, unread.
    Result(RawValue<'a>),
    /// With an error.
    Error(Cow<'a, str>),
}

/// One value in its wire encoding, checked to be well-formed but not read yet.
#[derive(Debug, Clone, Copy)]
pub struct RawValue<'a> {
    protocol: HubProtocol,
    bytes: &'a [u8],
}

impl<'a> RawValue<'a> {
    pub(super) fn new(protocol: HubProtocol, bytes: &'a [u8]) -> Self {
        Self { protocol, bytes }
    }

    /// The encoding that the bytes are in.
    #[must_use]
    pub fn protocol(&self) -> HubProtocol {
        self.protocol
    }

    /// The bytes of this value alone.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Reads the value.
    ///
    /// # Errors
    /// [`BindError`] when it is not of type `T`.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, BindError> {
        match self.protocol {
            HubProtocol::Json => json::read_value(self.bytes),
            HubProtocol::MessagePack => messagepack::read_value(self.bytes),
        }
    }
}

/// The arguments of an invocation: a well-formed array in its wire encoding.
#[derive(Debug, Clone, Copy)]
pub struct RawArguments<'a> {
    protocol: HubProtocol,
    /// The array's elements without its frame: for JSON what stands between
    /// the brackets, for MessagePack what follows the array header.
    elements: &'a [u8],
    count: usize,
}

impl<'a> RawArguments<'a> {
    pub(super) fn new(protocol: HubProtocol, elements: &'a [u8], count: usize) -> Self {
        Self {
            protocol,
            elements,
            count,
        }
    }

    /// How many arguments there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The arguments one after another.
    #[must_use]
    pub fn iter(&self) -> RawArgumentsIter<'a> {
        RawArgumentsIter {
            protocol: self.protocol,
            rest: self.elements,
            left: self.count,
        }
    }
}

impl<'a> IntoIterator for &RawArguments<'a> {
    type Item = RawValue<'a>;
    type IntoIter = RawArgumentsIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Yields each argument of a [`RawArguments`].
#[derive(Debug)]
pub struct RawArgumentsIter<'a> {
    protocol: HubProtocol,
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for RawArgumentsIter<'a> {
    type Item = RawValue<'a>;

    fn next(&mut self) -> Option<RawValue<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (value, rest) = match self.protocol {
            HubProtocol::Json => json::split_element(self.rest),
            HubProtocol::MessagePack => messagepack::split_element(self.rest),
        };
        self.rest = rest;
        Some(RawValue::new(self.protocol, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for RawArgumentsIter<'_> {}

/// Arguments of an invocation that the server sends: a tuple of up to eight
/// serialisable values, or a slice or vector of values of one type.
///
/// ```
/// use signalr::protocol::{Arguments, HubProtocol};
///
/// let mut out = Vec::new();
/// HubProtocol::Json.write_invocation(&mut out, None, "Message", &("hello", 1), &[])?;
/// assert_eq!(out, b"{\"type\":1,\"target\":\"Message\",\"arguments\":[\"hello\",1]}\x1e");
/// # Ok::<(), signalr::protocol::WriteError>(())
/// ```
pub trait Arguments {
    /// Appends the arguments as a JSON array.
    ///
    /// # Errors
    /// [`WriteError`] when one cannot be written.
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), WriteError>;

    /// Appends the arguments as a MessagePack array.
    ///
    /// # Errors
    /// [`WriteError`] when one cannot be written.
    fn write_messagepack(&self, out: &mut Vec<u8>) -> Result<(), WriteError>;
}
