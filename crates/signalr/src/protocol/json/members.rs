//! The members of one message's object, in whatever order they come: the last
//! one of a name counts, unknown ones are skipped, text behind the object is
//! ignored. What is wrong is said in ASP.NET Core's words.

use std::borrow::Cow;

use super::fault::Fault;
use super::reader::{Kind, Reader};
use super::text::Text;
use crate::protocol::{Headers, HubProtocol, ProtocolError, RawArguments, RawValue};

#[derive(Default)]
pub(super) struct Members<'a> {
    pub(super) kind: Option<i32>,
    pub(super) headers: Headers<'a>,
    pub(super) invocation_id: Option<Cow<'a, str>>,
    pub(super) target: Option<Cow<'a, str>>,
    pub(super) arguments: Option<RawArguments<'a>>,
    pub(super) stream_ids: Vec<Cow<'a, str>>,
    pub(super) item: Option<Item<'a>>,
    pub(super) result: Option<RawValue<'a>>,
    pub(super) error: Option<Cow<'a, str>>,
    pub(super) allow_reconnect: bool,
    pub(super) sequence_id: Option<i64>,
}

pub(super) struct Item<'a> {
    pub(super) value: RawValue<'a>,
    /// No invocation id that is not empty stood before it.
    pub(super) before_id: bool,
}

impl<'a> Members<'a> {
    pub(super) fn read(text: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(text);
        enter_message(&mut reader)?;
        let mut members = Self::default();
        while let Some(name) = reader.next_name()? {
            members.read_member(name, &mut reader)?;
        }
        Ok(members)
    }

    fn read_member(
        &mut self,
        name: Text<'a>,
        reader: &mut Reader<'a>,
    ) -> Result<(), ProtocolError> {
        match &*name.name() {
            b"type" => self.kind = Some(read_int32(reader, "type")?),
            b"invocationId" => {
                self.invocation_id = Some(read_string(reader, "invocationId")?);
            }
            b"target" => self.target = Some(read_string(reader, "target")?),
            b"arguments" => self.arguments = Some(read_arguments(reader)?),
            b"item" => {
                let before_id = self.invocation_id.as_ref().is_none_or(|id| id.is_empty());
                self.item = Some(Item {
                    value: read_raw(reader)?,
                    before_id,
                });
            }
            b"result" => self.result = Some(read_raw(reader)?),
            b"error" => self.error = Some(read_string(reader, "error")?),
            b"streamIds" => self.stream_ids = read_stream_ids(reader)?,
            b"headers" => self.headers = read_headers(reader)?,
            b"allowReconnect" => self.allow_reconnect = read_allow_reconnect(reader)?,
            b"sequenceId" => self.sequence_id = Some(read_int64(reader, "sequenceId")?),
            _ => reader.skip_value()?,
        }
        Ok(())
    }
}

/// Enters the object that a message, or a handshake, has to be.
pub(in crate::protocol) fn enter_message(reader: &mut Reader<'_>) -> Result<(), ReadError> {
    let kind = reader.kind()?;
    if kind == Kind::Object {
        return Ok(reader.enter_object()?);
    }
    wrong_kind(
        reader,
        kind,
        format!(
            "Unexpected JSON Token Type '{}'. Expected a JSON Object.",
            kind.name()
        ),
    )
}

pub(in crate::protocol) fn read_string<'a>(
    reader: &mut Reader<'a>,
    name: &str,
) -> Result<Cow<'a, str>, ReadError> {
    match reader.kind()? {
        Kind::String => Ok(reader.string()?.decode()?),
        kind => wrong_kind(
            reader,
            kind,
            format!("Expected '{name}' to be of type String."),
        ),
    }
}

pub(in crate::protocol) fn read_int32(
    reader: &mut Reader<'_>,
    name: &str,
) -> Result<i32, ReadError> {
    read_integer(reader, name, "Int32")
}

fn read_int64(reader: &mut Reader<'_>, name: &str) -> Result<i64, ReadError> {
    read_integer(reader, name, "Int64")
}

/// Neither `1.0` nor `1e0` is an integer to System.Text.Json.
fn read_integer<T: std::str::FromStr>(
    reader: &mut Reader<'_>,
    name: &str,
    of_type: &str,
) -> Result<T, ReadError> {
    let kind = reader.kind()?;
    if kind != Kind::Number {
        return wrong_kind(
            reader,
            kind,
            format!("Expected '{name}' to be of type Number."),
        );
    }
    let number = reader.number()?;
    let integer = std::str::from_utf8(number)
        .ok()
        .and_then(|digits| digits.parse().ok());
    integer.ok_or_else(|| {
        ReadError::from(ProtocolError {
            exception: "FormatException",
            message: format!(
                "Either the JSON value is not in a supported format, or is out of bounds for an \
                 {of_type}."
            ),
        })
    })
}

fn read_allow_reconnect(reader: &mut Reader<'_>) -> Result<bool, ReadError> {
    let kind = reader.kind()?;
    if !matches!(kind, Kind::True | Kind::False) {
        let message = "Expected 'allowReconnect' to be true or false.".to_owned();
        return wrong_kind(reader, kind, message);
    }
    reader.skip_value()?;
    Ok(kind == Kind::True)
}

fn read_raw<'a>(reader: &mut Reader<'a>) -> Result<RawValue<'a>, ReadError> {
    reader.kind()?;
    let start = reader.position();
    reader.skip_value()?;
    Ok(RawValue::new(HubProtocol::Json, reader.since(start)))
}

fn read_arguments<'a>(reader: &mut Reader<'a>) -> Result<RawArguments<'a>, ReadError> {
    enter_array(reader, "arguments")?;
    let start = reader.position();
    let mut count = 0;
    while reader.next_element()? {
        reader.skip_value()?;
        count += 1;
    }
    let elements = reader.since(start);
    Ok(RawArguments::new(
        HubProtocol::Json,
        &elements[..elements.len() - 1],
        count,
    ))
}

fn read_stream_ids<'a>(reader: &mut Reader<'a>) -> Result<Vec<Cow<'a, str>>, ReadError> {
    enter_array(reader, "streamIds")?;
    let mut ids = Vec::new();
    while reader.next_element()? {
        match reader.kind()? {
            Kind::String => ids.push(reader.string()?.decode()?),
            Kind::Null => {
                return wrong_kind(
                    reader,
                    Kind::Null,
                    "Null value for 'streamIds' is not valid.".to_owned(),
                );
            }
            kind => return Err(not_a_string(reader, kind)),
        }
    }
    Ok(ids)
}

fn read_headers<'a>(reader: &mut Reader<'a>) -> Result<Headers<'a>, ReadError> {
    let kind = reader.kind()?;
    if kind != Kind::Object {
        let message = "Expected 'headers' to be of type StartObject.".to_owned();
        return wrong_kind(reader, kind, message);
    }
    reader.enter_object()?;
    let mut headers = Headers::default();
    while let Some(name) = reader.next_name()? {
        let name = name.decode()?;
        let kind = reader.kind()?;
        if kind != Kind::String {
            let message = format!("Expected header '{name}' to be of type String.");
            return wrong_kind(reader, kind, message);
        }
        let value = reader.string()?.decode()?;
        match headers.0.iter_mut().find(|(earlier, _)| *earlier == name) {
            Some(header) => header.1 = value,
            None => headers.0.push((name, value)),
        }
    }
    Ok(headers)
}

fn enter_array(reader: &mut Reader<'_>, name: &str) -> Result<(), ReadError> {
    match reader.kind()? {
        Kind::Array => Ok(reader.enter_array()?),
        kind => wrong_kind(
            reader,
            kind,
            format!("Expected '{name}' to be of type Array."),
        ),
    }
}

/// Reports a value of another kind than wanted, unless its own text is
/// malformed: the reader comes to that first.
fn wrong_kind<T>(reader: &mut Reader<'_>, kind: Kind, message: String) -> Result<T, ReadError> {
    if !matches!(kind, Kind::Object | Kind::Array) {
        reader.skip_value()?;
    }
    Err(ProtocolError::invalid_data(message).into())
}

/// The one place where ASP.NET Core does not check before it reads a string.
fn not_a_string(reader: &mut Reader<'_>, kind: Kind) -> ReadError {
    let start = if matches!(kind, Kind::Object | Kind::Array) {
        "Start"
    } else {
        ""
    };
    let message = format!(
        "Cannot get the value of a token type '{start}{}' as a string.",
        kind.name()
    );
    match wrong_kind::<()>(reader, kind, String::new()) {
        Err(ReadError::Fault(fault)) => ReadError::Fault(fault),
        _ => ReadError::from(ProtocolError {
            exception: "InvalidOperationException",
            message,
        }),
    }
}

/// Why a member could not be read. The handshake shows a fault with its place,
/// a hub message does not.
#[derive(Debug)]
pub(in crate::protocol) enum ReadError {
    Fault(Fault),
    Protocol(Box<ProtocolError>),
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ProtocolError> for ReadError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(Box::new(error))
    }
}

impl From<ReadError> for ProtocolError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Fault(fault) => fault.into(),
            ReadError::Protocol(error) => *error,
        }
    }
}
