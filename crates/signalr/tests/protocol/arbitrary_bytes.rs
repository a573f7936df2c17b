//! No bytes make a parser panic, consume nothing, or read beyond the input.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use signalr::protocol::handshake::{ParsedRequest, parse_request};
use signalr::protocol::{CompletionOutcome, HubMessage, HubProtocol, Parsed, RawJson, RawValue};

use crate::sent::{message, protocol};

/// Reads everything there is to read in the input; whether it is an error or
/// not does not matter.
fn read_all(protocol: HubProtocol, input: &[u8]) {
    let mut rest = input;
    loop {
        let consumed = match protocol.parse(rest) {
            Ok(Parsed::Message { message, consumed }) => {
                read_message(&message);
                consumed
            }
            Ok(Parsed::Unknown { consumed }) => consumed,
            Ok(Parsed::Incomplete) | Err(_) => return,
        };
        assert!(consumed > 0, "a message takes some bytes");
        rest = &rest[consumed..];
    }
}

fn read_message(message: &HubMessage<'_>) {
    match message {
        HubMessage::Invocation(call) | HubMessage::StreamInvocation(call) => {
            assert_eq!(call.arguments.iter().count(), call.arguments.len());
            for argument in &call.arguments {
                read_value(&argument);
            }
        }
        HubMessage::StreamItem(item) => read_value(&item.item),
        HubMessage::Completion(completion) => {
            if let CompletionOutcome::Result(value) = &completion.outcome {
                read_value(value);
            }
        }
        _ => {}
    }
}

fn read_value(value: &RawValue<'_>) {
    assert!(!value.as_bytes().is_empty());
    let _ = value.deserialize::<Value>();
    let _ = value.deserialize::<Vec<Option<String>>>();
    if let Ok(raw) = value.deserialize::<RawJson>() {
        for protocol in HubProtocol::ALL {
            let _ = protocol.write_result(&mut Vec::new(), "1", &raw);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        protocol in protocol(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        read_all(protocol, &bytes);
    }

    #[test]
    fn any_bytes_in_a_frame_are_read_or_refused(
        kind in 0_u8..12,
        mut bytes in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut packed = vec![u8::try_from(bytes.len() + 2).unwrap(), 0x96, kind];
        packed.extend_from_slice(&bytes);
        read_all(HubProtocol::MessagePack, &packed);
        bytes.push(0x1e);
        read_all(HubProtocol::Json, &bytes);
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(
        protocol in protocol(),
        message in message(),
        damage in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = Vec::new();
        message.write(protocol, &mut bytes);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_all(protocol, &bytes);
    }

    #[test]
    fn any_handshake_is_read_or_refused(text in "[{}\\[\\]:,\"a-z0-9\\\\ \u{1e}.-]{0,60}") {
        if let Ok(ParsedRequest::Request { consumed, .. }) = parse_request(text.as_bytes()) {
            prop_assert!(consumed <= text.len());
        }
    }
}
