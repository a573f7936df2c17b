//! Any bytes as a stream of hub messages: every message is read, and every
//! value in it, in several types.

use serde_json::Value;
use signalr::protocol::{CompletionOutcome, HubMessage, HubProtocol, Parsed, RawJson, RawValue};

/// Any bytes as a stream of JSON hub messages.
pub fn check_json(input: &[u8]) {
    check(HubProtocol::Json, input);
}

/// Any bytes as a stream of MessagePack hub messages.
pub fn check_messagepack(input: &[u8]) {
    check(HubProtocol::MessagePack, input);
}

fn check(protocol: HubProtocol, mut input: &[u8]) {
    loop {
        let consumed = match protocol.parse(input) {
            Ok(Parsed::Message { message, consumed }) => {
                read_message(protocol, &message);
                consumed
            }
            Ok(Parsed::Unknown { consumed }) => consumed,
            Ok(Parsed::Incomplete) | Err(_) => return,
        };
        assert!(consumed > 0, "a message takes some bytes");
        input = &input[consumed..];
    }
}

fn read_message(protocol: HubProtocol, message: &HubMessage<'_>) {
    match message {
        HubMessage::Invocation(call) | HubMessage::StreamInvocation(call) => {
            assert_eq!(call.arguments.iter().count(), call.arguments.len());
            call.arguments
                .iter()
                .for_each(|argument| read_value(protocol, &argument));
        }
        HubMessage::StreamItem(item) => read_value(protocol, &item.item),
        HubMessage::Completion(completion) => {
            if let CompletionOutcome::Result(value) = &completion.outcome {
                read_value(protocol, value);
            }
        }
        _ => {}
    }
}

/// What can be written must be read again as the same.
fn read_value(protocol: HubProtocol, value: &RawValue<'_>) {
    assert!(!value.as_bytes().is_empty());
    let _ = value.deserialize::<Vec<Option<String>>>();
    let _ = value.deserialize::<RawJson>();
    let Ok(value) = value.deserialize::<Value>() else {
        return;
    };
    let mut out = Vec::new();
    if protocol.write_result(&mut out, "1", &value).is_ok() {
        assert!(matches!(protocol.parse(&out), Ok(Parsed::Message { .. })));
    }
}
