//! From one array to a [`HubMessage`]. Items behind those that a type has are
//! ignored, as is a message of an unknown type.

use std::borrow::Cow;
use std::fmt::Display;

use super::frame;
use super::reader::{Malformed, Reader};
use crate::protocol::{
    Completion, CompletionOutcome, Headers, HubMessage, HubProtocol, Invocation, Parsed,
    ProtocolError, RawArguments, RawValue, StreamItem,
};

/// How deep an item of the message's array lies.
const ITEM_DEPTH: usize = 1;

/// How deep an argument lies, in the array of arguments.
const ARGUMENT_DEPTH: usize = 2;

/// Reads the first message of the input.
pub(in crate::protocol) fn parse(input: &[u8]) -> Result<Parsed<'_>, ProtocolError> {
    let Some((body, consumed)) = frame::split(input)? else {
        return Ok(Parsed::Incomplete);
    };
    let mut reader = Reader::new(body);
    let items = reader.array_len().map_err(|error| ProtocolError {
        exception: match error {
            Malformed::End => "EndOfStreamException",
            _ => "MessagePackSerializationException",
        },
        message: error.to_string(),
    })?;
    let mut message = Message { reader, items };
    Ok(match message.read()? {
        Some(message) => Parsed::Message { message, consumed },
        None => Parsed::Unknown { consumed },
    })
}

/// A message's array, with the number of its items that are not read yet.
struct Message<'a> {
    reader: Reader<'a>,
    items: usize,
}

impl<'a> Message<'a> {
    fn read(&mut self) -> Result<Option<HubMessage<'a>>, ProtocolError> {
        Ok(Some(match self.int32("messageType")? {
            1 => HubMessage::Invocation(self.invocation()?),
            2 => HubMessage::StreamItem(self.stream_item()?),
            3 => HubMessage::Completion(self.completion()?),
            4 => HubMessage::StreamInvocation(self.stream_invocation()?),
            5 => {
                self.headers()?;
                let invocation_id = self.required_id("CancelInvocation")?;
                HubMessage::CancelInvocation { invocation_id }
            }
            6 => HubMessage::Ping,
            7 => self.close()?,
            8 => HubMessage::Ack {
                sequence_id: self.int64("sequenceId")?,
            },
            9 => HubMessage::Sequence {
                sequence_id: self.int64("sequenceId")?,
            },
            _ => return Ok(None),
        }))
    }

    fn invocation(&mut self) -> Result<Invocation<'a>, ProtocolError> {
        let headers = self.headers()?;
        let invocation_id = self.string("invocationId")?.filter(|id| !id.is_empty());
        self.call(headers, invocation_id, "target for Invocation message")
    }

    fn stream_invocation(&mut self) -> Result<Invocation<'a>, ProtocolError> {
        let headers = self.headers()?;
        let invocation_id = self.required_id("StreamInvocation")?;
        self.call(
            headers,
            Some(invocation_id),
            "target for StreamInvocation message",
        )
    }

    fn call(
        &mut self,
        headers: Headers<'a>,
        invocation_id: Option<Cow<'a, str>>,
        target: &str,
    ) -> Result<Invocation<'a>, ProtocolError> {
        Ok(Invocation {
            headers,
            invocation_id,
            target: not_empty(self.string("target")?, target)?,
            arguments: self.arguments()?,
            stream_ids: self.stream_ids()?,
            stray_payload: false,
        })
    }

    fn stream_item(&mut self) -> Result<StreamItem<'a>, ProtocolError> {
        self.headers()?;
        let invocation_id = self.required_id("StreamItem")?;
        let item = self.raw("item")?;
        Ok(StreamItem {
            invocation_id,
            item,
            item_before_id: false,
        })
    }

    fn completion(&mut self) -> Result<Completion<'a>, ProtocolError> {
        self.headers()?;
        let invocation_id = self.required_id("Completion")?;
        let outcome = match self.int32("resultKind")? {
            // A nil error says no more than that there is no result.
            1 => self
                .string("error")?
                .map_or(CompletionOutcome::Void, CompletionOutcome::Error),
            2 => CompletionOutcome::Void,
            3 => CompletionOutcome::Result(self.raw("argument")?),
            _ => {
                return Err(ProtocolError::invalid_data(
                    "Invalid invocation result kind.",
                ));
            }
        };
        Ok(Completion {
            invocation_id,
            outcome,
        })
    }

    fn close(&mut self) -> Result<HubMessage<'a>, ProtocolError> {
        let error = self.string("error")?;
        let allow_reconnect = self.items > 0
            && self
                .item(Reader::boolean)
                .map_err(|_| failed("'allowReconnect' as Boolean"))?;
        Ok(HubMessage::Close {
            error,
            allow_reconnect,
        })
    }

    fn headers(&mut self) -> Result<Headers<'a>, ProtocolError> {
        let count = self
            .item(Reader::map_len)
            .map_err(|_| length_failed("map", "headers"))?;
        let mut headers = Headers::default();
        for index in 0..count {
            let mut part = |name, what| {
                let text = self.reader.string();
                let text = text.map_err(|_| failed(format!("'headers[{index}].{name}' as String")));
                not_empty(text?, what)
            };
            let key = part("Key", "key in header")?;
            let value = part("Value", "value in header")?;
            if headers.0.iter().any(|(earlier, _)| *earlier == key) {
                return Err(ProtocolError {
                    exception: "ArgumentException",
                    message: format!(
                        "An item with the same key has already been added. Key: {key}"
                    ),
                });
            }
            headers.0.push((key, value));
        }
        Ok(headers)
    }

    fn arguments(&mut self) -> Result<RawArguments<'a>, ProtocolError> {
        let count = self
            .item(Reader::array_len)
            .map_err(|_| length_failed("array", "arguments"))?;
        let start = self.reader.position();
        for _ in 0..count {
            self.reader
                .skip(ARGUMENT_DEPTH)
                .map_err(|error| unreadable("argument", &error))?;
        }
        Ok(RawArguments::new(
            HubProtocol::MessagePack,
            self.reader.since(start),
            count,
        ))
    }

    /// Clients of the first version do not send this item.
    fn stream_ids(&mut self) -> Result<Vec<Cow<'a, str>>, ProtocolError> {
        let mut ids = Vec::new();
        if self.items > 0 {
            let count = self
                .item(Reader::array_len)
                .map_err(|_| length_failed("array", "streamIds"))?;
            for _ in 0..count {
                let id = self
                    .reader
                    .string()
                    .map_err(|error| unreadable("streamIds", &error))?;
                ids.push(not_empty(id, "value in streamIds received")?);
            }
        }
        Ok(ids)
    }

    fn raw(&mut self, field: &str) -> Result<RawValue<'a>, ProtocolError> {
        let start = self.reader.position();
        self.item(|reader| reader.skip(ITEM_DEPTH))
            .map_err(|error| unreadable(field, &error))?;
        Ok(RawValue::new(
            HubProtocol::MessagePack,
            self.reader.since(start),
        ))
    }

    fn required_id(&mut self, message: &str) -> Result<Cow<'a, str>, ProtocolError> {
        let id = self.string("invocationId")?.filter(|id| !id.is_empty());
        id.ok_or_else(|| empty(format!("invocation ID for {message} message")))
    }

    fn string(&mut self, field: &str) -> Result<Option<Cow<'a, str>>, ProtocolError> {
        self.item(Reader::string)
            .map_err(|_| failed(format!("'{field}' as String")))
    }

    fn int32(&mut self, field: &str) -> Result<i32, ProtocolError> {
        let value = self
            .item(Reader::integer)
            .ok()
            .and_then(|value| i32::try_from(value).ok());
        value.ok_or_else(|| failed(format!("'{field}' as Int32")))
    }

    fn int64(&mut self, field: &str) -> Result<i64, ProtocolError> {
        self.item(Reader::integer)
            .map_err(|_| failed(format!("'{field}' as Int64")))
    }

    /// Reads the next item of the message's array, if there is one.
    fn item<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        self.items = self.items.checked_sub(1).ok_or(Malformed::End)?;
        read(&mut self.reader)
    }
}

fn not_empty<'a>(text: Option<Cow<'a, str>>, what: &str) -> Result<Cow<'a, str>, ProtocolError> {
    text.filter(|text| !text.is_empty())
        .ok_or_else(|| empty(what))
}

fn empty(what: impl Display) -> ProtocolError {
    ProtocolError::invalid_data(format!("Null or empty {what}."))
}

fn failed(what: impl Display) -> ProtocolError {
    ProtocolError::invalid_data(format!("Reading {what} failed."))
}

fn length_failed(of: &str, field: &str) -> ProtocolError {
    ProtocolError::invalid_data(format!("Reading {of} length for '{field}' failed."))
}

fn unreadable(field: &str, error: &Malformed) -> ProtocolError {
    ProtocolError::invalid_data(format!("Reading '{field}' failed. {error}"))
}

#[cfg(test)]
mod tests;
