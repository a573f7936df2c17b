//! From the text of one message to a [`HubMessage`]: what each type requires.

use super::RECORD_SEPARATOR;
use super::members::Members;
use crate::protocol::{
    Completion, CompletionOutcome, HubMessage, Invocation, Parsed, ProtocolError, StreamItem,
};

/// Reads the first message of the input.
pub(in crate::protocol) fn parse(input: &[u8]) -> Result<Parsed<'_>, ProtocolError> {
    let Some(end) = memchr::memchr(RECORD_SEPARATOR, input) else {
        return Ok(Parsed::Incomplete);
    };
    let consumed = end + 1;
    let text = &input[..end];
    // Most messages of most clients are this one.
    if text == br#"{"type":6}"# {
        return Ok(Parsed::Message {
            message: HubMessage::Ping,
            consumed,
        });
    }
    Ok(match into_message(Members::read(text)?)? {
        Some(message) => Parsed::Message { message, consumed },
        None => Parsed::Unknown { consumed },
    })
}

/// The message of the members' type, or none for a type of a later version.
fn into_message(members: Members<'_>) -> Result<Option<HubMessage<'_>>, ProtocolError> {
    let kind = members.kind.ok_or_else(|| missing("type"))?;
    Ok(Some(match kind {
        1 => HubMessage::Invocation(invocation(members)?),
        2 => HubMessage::StreamItem(stream_item(members)?),
        3 => HubMessage::Completion(completion(members)?),
        4 => HubMessage::StreamInvocation(stream_invocation(members)?),
        5 => {
            let invocation_id = required_id(members.invocation_id)?;
            HubMessage::CancelInvocation { invocation_id }
        }
        6 => HubMessage::Ping,
        7 => HubMessage::Close {
            error: members.error,
            allow_reconnect: members.allow_reconnect,
        },
        8 => HubMessage::Ack {
            sequence_id: required(members.sequence_id, "sequenceId")?,
        },
        9 => HubMessage::Sequence {
            sequence_id: required(members.sequence_id, "sequenceId")?,
        },
        _ => return Ok(None),
    }))
}

/// An empty target passes where there are arguments: ASP.NET Core then looks
/// for a method of that name and answers that there is none.
fn invocation(members: Members<'_>) -> Result<Invocation<'_>, ProtocolError> {
    let target = required(members.target, "target")?;
    if target.is_empty() && members.arguments.is_none() {
        return Err(missing("target"));
    }
    Ok(Invocation {
        headers: members.headers,
        invocation_id: members.invocation_id.filter(|id| !id.is_empty()),
        target,
        arguments: required(members.arguments, "arguments")?,
        stream_ids: members.stream_ids,
        stray_payload: members.item.is_some_and(|item| !item.before_id),
    })
}

fn stream_invocation(members: Members<'_>) -> Result<Invocation<'_>, ProtocolError> {
    if members.target.is_none() {
        return Err(missing("target"));
    }
    if members
        .invocation_id
        .as_ref()
        .is_none_or(|id| id.is_empty())
    {
        return Err(missing("invocationId"));
    }
    if members.arguments.is_none() {
        return Err(missing("arguments"));
    }
    invocation(members)
}

fn stream_item(members: Members<'_>) -> Result<StreamItem<'_>, ProtocolError> {
    let invocation_id = required_id(members.invocation_id)?;
    let item = required(members.item, "item")?;
    Ok(StreamItem {
        invocation_id,
        item: item.value,
        item_before_id: item.before_id,
    })
}

fn completion(members: Members<'_>) -> Result<Completion<'_>, ProtocolError> {
    let invocation_id = required_id(members.invocation_id)?;
    let outcome = match (members.error, members.result) {
        (Some(_), Some(_)) => {
            return Err(ProtocolError::invalid_data(
                "The 'error' and 'result' properties are mutually exclusive.",
            ));
        }
        (Some(error), None) => CompletionOutcome::Error(error),
        (None, Some(result)) => CompletionOutcome::Result(result),
        (None, None) => CompletionOutcome::Void,
    };
    Ok(Completion {
        invocation_id,
        outcome,
    })
}

fn required_id(
    id: Option<std::borrow::Cow<'_, str>>,
) -> Result<std::borrow::Cow<'_, str>, ProtocolError> {
    required(id.filter(|id| !id.is_empty()), "invocationId")
}

fn required<T>(value: Option<T>, name: &str) -> Result<T, ProtocolError> {
    value.ok_or_else(|| missing(name))
}

fn missing(name: &str) -> ProtocolError {
    ProtocolError::invalid_data(format!("Missing required property '{name}'."))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod refusals;
