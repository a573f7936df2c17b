//! Any message that one side can send, so that it can be written, read back
//! and compared.

use proptest::prelude::*;
use serde_json::Value;
use signalr::protocol::{CompletionOutcome, HubMessage, HubProtocol, Invocation, Parsed};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sent {
    Invocation(Call),
    StreamInvocation(Call),
    StreamItem(String, Value),
    Result(String, Value),
    End(String, Option<String>),
    Cancel(String),
    Ping,
    Close(Option<String>, bool),
    Ack(i64),
    Sequence(i64),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    id: Option<String>,
    target: String,
    arguments: Vec<Value>,
    stream_ids: Vec<String>,
}

impl Sent {
    pub(crate) fn write(&self, protocol: HubProtocol, out: &mut Vec<u8>) {
        match self {
            Self::Invocation(call) => {
                let ids = call.ids();
                protocol
                    .write_invocation(out, call.id.as_deref(), &call.target, &call.arguments, &ids)
                    .unwrap();
            }
            Self::StreamInvocation(call) => {
                let id = call.id.as_deref().unwrap();
                protocol
                    .write_stream_invocation(out, id, &call.target, &call.arguments, &call.ids())
                    .unwrap();
            }
            Self::StreamItem(id, item) => protocol.write_stream_item(out, id, item).unwrap(),
            Self::Result(id, result) => protocol.write_result(out, id, result).unwrap(),
            Self::End(id, error) => protocol.write_end(out, id, error.as_deref()),
            Self::Cancel(id) => protocol.write_cancel_invocation(out, id),
            Self::Ping => out.extend_from_slice(protocol.ping()),
            Self::Close(error, reconnect) => {
                protocol.write_close(out, error.as_deref(), *reconnect);
            }
            Self::Ack(id) => protocol.write_ack(out, *id),
            Self::Sequence(id) => protocol.write_sequence(out, *id),
        }
    }

    /// The message that was read, every raw value in it read as well.
    pub(crate) fn from_message(message: HubMessage<'_>) -> Self {
        match message {
            HubMessage::Invocation(call) => Self::Invocation(Call::from(call)),
            HubMessage::StreamInvocation(call) => Self::StreamInvocation(Call::from(call)),
            HubMessage::StreamItem(item) => Self::StreamItem(
                item.invocation_id.into_owned(),
                item.item.deserialize().unwrap(),
            ),
            HubMessage::Completion(completion) => {
                let id = completion.invocation_id.into_owned();
                match completion.outcome {
                    CompletionOutcome::Void => Self::End(id, None),
                    CompletionOutcome::Error(error) => Self::End(id, Some(error.into_owned())),
                    CompletionOutcome::Result(value) => {
                        Self::Result(id, value.deserialize().unwrap())
                    }
                }
            }
            HubMessage::CancelInvocation { invocation_id } => {
                Self::Cancel(invocation_id.into_owned())
            }
            HubMessage::Ping => Self::Ping,
            HubMessage::Close {
                error,
                allow_reconnect,
            } => Self::Close(error.map(|error| error.into_owned()), allow_reconnect),
            HubMessage::Ack { sequence_id } => Self::Ack(sequence_id),
            HubMessage::Sequence { sequence_id } => Self::Sequence(sequence_id),
        }
    }
}

impl Call {
    fn ids(&self) -> Vec<&str> {
        self.stream_ids.iter().map(String::as_str).collect()
    }

    fn from(call: Invocation<'_>) -> Self {
        assert_eq!(call.arguments.iter().count(), call.arguments.len());
        Self {
            id: call.invocation_id.map(|id| id.into_owned()),
            target: call.target.into_owned(),
            arguments: call
                .arguments
                .iter()
                .map(|raw| raw.deserialize().unwrap())
                .collect(),
            stream_ids: call
                .stream_ids
                .into_iter()
                .map(|id| id.into_owned())
                .collect(),
        }
    }
}

/// All messages at the start of the input, and how many bytes they take.
pub(crate) fn read_all(protocol: HubProtocol, input: &[u8]) -> (Vec<Sent>, usize) {
    let (mut messages, mut at) = (Vec::new(), 0);
    loop {
        match protocol.parse(&input[at..]).unwrap() {
            Parsed::Message { message, consumed } => {
                messages.push(Sent::from_message(message));
                at += consumed;
            }
            Parsed::Unknown { .. } => panic!("only known messages were written"),
            Parsed::Incomplete => return (messages, at),
        }
    }
}

pub(crate) fn protocol() -> impl Strategy<Value = HubProtocol> {
    prop_oneof![Just(HubProtocol::Json), Just(HubProtocol::MessagePack)]
}

pub(crate) fn message() -> impl Strategy<Value = Sent> {
    prop_oneof![
        4 => (proptest::option::of(text()), call()).prop_map(|(id, call)| {
            Sent::Invocation(Call { id, ..call })
        }),
        2 => (text(), call()).prop_map(|(id, call)| {
            Sent::StreamInvocation(Call { id: Some(id), ..call })
        }),
        2 => (text(), value()).prop_map(|(id, item)| Sent::StreamItem(id, item)),
        2 => (text(), value()).prop_map(|(id, result)| Sent::Result(id, result)),
        1 => (text(), proptest::option::of(text())).prop_map(|(id, error)| Sent::End(id, error)),
        1 => text().prop_map(Sent::Cancel),
        1 => Just(Sent::Ping),
        1 => (proptest::option::of(text()), any::<bool>())
            .prop_map(|(error, reconnect)| Sent::Close(error, reconnect)),
        1 => any::<i64>().prop_map(Sent::Ack),
        1 => any::<i64>().prop_map(Sent::Sequence),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    (
        text(),
        proptest::collection::vec(value(), 0..4),
        proptest::collection::vec(text(), 0..3),
    )
        .prop_map(|(target, arguments, stream_ids)| Call {
            id: None,
            target,
            arguments,
            stream_ids,
        })
}

/// Text that is not empty: an empty id or error counts as none.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9]{1,8}",
        "\\PC{1,12}",
        proptest::collection::vec(any::<char>(), 1..8)
            .prop_map(|characters| characters.into_iter().collect::<String>())
    ]
}

/// Values that are the same in both encodings and in serde_json: no number with
/// a whole value is a floating-point number.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) + 0.125)),
        text().prop_map(Value::from),
        Just(Value::from("")),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
