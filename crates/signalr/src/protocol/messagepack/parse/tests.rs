//! What the MessagePack parser accepts and refuses.

use super::*;

fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(body.len()).unwrap()];
    bytes.extend_from_slice(body);
    bytes
}

fn refusal(body: &[u8]) -> String {
    match parse(&framed(body)) {
        Err(error) => format!("{}: {}", error.exception, error.message),
        Ok(parsed) => panic!("{body:x?}: {parsed:?}"),
    }
}

fn with_message(body: &[u8], check: impl FnOnce(HubMessage<'_>)) {
    let bytes = framed(body);
    match parse(&bytes) {
        Ok(Parsed::Message { message, consumed }) => {
            assert_eq!(consumed, bytes.len());
            check(message);
        }
        other => panic!("{body:x?}: {other:?}"),
    }
}

#[test]
fn an_invocation_has_five_items_or_six() {
    for body in [
        &b"\x96\x01\x80\xa11\xa4Echo\x92\xa1x\xc0\x91\xa1u"[..],
        b"\x98\x01\x80\xa11\xa4Echo\x92\xa1x\xc0\x91\xa1u\xc0\xc1",
        b"\xdc\x00\x06\x01\xde\x00\x00\xd9\x011\xda\x00\x04Echo\xdd\x00\x00\x00\x02\xa1x\xc0\x91\xa1u",
    ] {
        with_message(body, |message| match message {
            HubMessage::Invocation(invocation) => {
                assert_eq!(invocation.invocation_id.as_deref(), Some("1"));
                assert_eq!(invocation.target, "Echo");
                assert_eq!(invocation.stream_ids, ["u"]);
                let arguments: Vec<_> = invocation.arguments.iter().map(|raw| raw.as_bytes()).collect();
                assert_eq!(arguments, [&b"\xa1x"[..], b"\xc0"]);
            }
            other => panic!("{other:?}"),
        });
    }
    with_message(b"\x95\x01\x80\xa0\xa4Echo\x90", |message| match message {
        HubMessage::Invocation(invocation) => {
            assert_eq!(invocation.invocation_id, None);
            assert!(invocation.stream_ids.is_empty() && invocation.arguments.is_empty());
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn headers_are_text_that_is_not_empty() {
    with_message(
        b"\x95\x01\x81\xa1a\xa1b\xc0\xa1E\x90",
        |message| match message {
            HubMessage::Invocation(call) => assert_eq!(call.headers.0, [("a".into(), "b".into())]),
            other => panic!("{other:?}"),
        },
    );
    for (headers, refused) in [
        (
            &b"\x81\xa0\xa1b"[..],
            "InvalidDataException: Null or empty key in header.",
        ),
        (
            b"\x81\xa1a\xa0",
            "InvalidDataException: Null or empty value in header.",
        ),
        (
            b"\x81\xa1a\x01",
            "InvalidDataException: Reading 'headers[0].Value' as String failed.",
        ),
        (
            b"\xc0",
            "InvalidDataException: Reading map length for 'headers' failed.",
        ),
        (
            b"\x82\xa1a\xa1b\xa1a\xa1c",
            "ArgumentException: An item with the same key has already been added. Key: a",
        ),
    ] {
        let mut body = b"\x95\x01".to_vec();
        body.extend_from_slice(headers);
        body.extend_from_slice(b"\xc0\xa1E\x90");
        assert_eq!(refusal(&body), refused);
    }
}

#[test]
fn the_other_messages_are_read() {
    with_message(b"\x91\x06", |message| {
        assert!(matches!(message, HubMessage::Ping))
    });
    with_message(b"\x93\x05\x80\xa11", |message| {
        assert!(
            matches!(message, HubMessage::CancelInvocation { invocation_id } if invocation_id == "1")
        );
    });
    with_message(b"\x92\x07\xc0", |message| {
        assert!(matches!(
            message,
            HubMessage::Close {
                error: None,
                allow_reconnect: false
            }
        ));
    });
    with_message(b"\x93\x07\xa1e\xc3", |message| {
        assert!(matches!(
            message,
            HubMessage::Close {
                error: Some(_),
                allow_reconnect: true
            }
        ));
    });
    with_message(b"\x92\x08\xd3\xff\xff\xff\xff\xff\xff\xff\xff", |message| {
        assert!(matches!(message, HubMessage::Ack { sequence_id: -1 }));
    });
    with_message(b"\x92\x09\xcd\x01\x00", |message| {
        assert!(matches!(message, HubMessage::Sequence { sequence_id: 256 }));
    });
    with_message(b"\x94\x02\x80\xa1s\x2a", |message| match message {
        HubMessage::StreamItem(item) => assert_eq!(item.item.deserialize::<i32>(), Ok(42)),
        other => panic!("{other:?}"),
    });
}

#[test]
fn completions_have_one_of_three_kinds() {
    let outcome = |body: &[u8], check: fn(CompletionOutcome<'_>)| {
        with_message(body, |message| match message {
            HubMessage::Completion(completion) => check(completion.outcome),
            other => panic!("{other:?}"),
        });
    };
    outcome(b"\x95\x03\x80\xa1s\x01\xa1e", |outcome| {
        assert!(matches!(outcome, CompletionOutcome::Error(error) if error == "e"));
    });
    outcome(b"\x94\x03\x80\xa1s\x02", |outcome| {
        assert!(matches!(outcome, CompletionOutcome::Void))
    });
    outcome(b"\x95\x03\x80\xa1s\x03\xc0", |outcome| {
        assert!(matches!(outcome, CompletionOutcome::Result(value) if value.as_bytes() == [0xc0]));
    });
    assert_eq!(
        refusal(b"\x95\x03\x80\xa1s\x04\xc0"),
        "InvalidDataException: Invalid invocation result kind."
    );
}

#[test]
fn what_a_type_requires_is_missed() {
    for (body, refused) in [
        (&b"\x90"[..], "Reading 'messageType' as Int32 failed."),
        (b"\x91\xa11", "Reading 'messageType' as Int32 failed."),
        (
            b"\x91\xcf\x00\x00\x00\x01\x00\x00\x00\x00",
            "Reading 'messageType' as Int32 failed.",
        ),
        (
            b"\x95\x01\x80\xc0\xc0\x90",
            "Null or empty target for Invocation message.",
        ),
        (
            b"\x95\x04\x80\xc0\xa1S\x90",
            "Null or empty invocation ID for StreamInvocation message.",
        ),
        (
            b"\x94\x02\x80\xa0\x01",
            "Null or empty invocation ID for StreamItem message.",
        ),
        (
            b"\x94\x03\x80\xc0\x02",
            "Null or empty invocation ID for Completion message.",
        ),
        (
            b"\x93\x05\x80\xc0",
            "Null or empty invocation ID for CancelInvocation message.",
        ),
        (b"\x92\x05\x80", "Reading 'invocationId' as String failed."),
        (
            b"\x95\x01\x80\xc0\xa1E\xc0",
            "Reading array length for 'arguments' failed.",
        ),
        (
            b"\x96\x01\x80\xc0\xa1E\x90\x91\xc0",
            "Null or empty value in streamIds received.",
        ),
        (
            b"\x92\x08\xcb\x00\x00\x00\x00\x00\x00\x00\x00",
            "Reading 'sequenceId' as Int64 failed.",
        ),
        (
            b"\x93\x07\xc0\xc0",
            "Reading 'allowReconnect' as Boolean failed.",
        ),
        (
            b"\x95\x01\x80\xc0\xa1E\xdd\xff\xff\xff\xff",
            "Reading 'argument' failed. Attempted to read past the end of the stream.",
        ),
    ] {
        assert_eq!(refusal(body), format!("InvalidDataException: {refused}"));
    }
    assert!(refusal(b"").starts_with("EndOfStreamException: "));
    assert!(refusal(b"\x80").starts_with("MessagePackSerializationException: "));
}

#[test]
fn unknown_types_are_skipped_whatever_they_hold() {
    let mut bytes = framed(b"\x93\x2a\xc1\xc1");
    bytes.extend_from_slice(&[0x02, 0x91, 0x06]);
    match parse(&bytes).unwrap() {
        Parsed::Unknown { consumed } => assert_eq!(&bytes[consumed..], [0x02, 0x91, 0x06]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn arguments_nest_as_deep_as_in_json() {
    let nested = |depth: usize| {
        let mut body = b"\x95\x01\x80\xc0\xa1E\x91".to_vec();
        body.resize(body.len() + depth - 1, 0x91);
        body.push(0x90);
        parse(&framed(&body)).map(drop)
    };
    assert_eq!(nested(62), Ok(()));
    assert!(nested(63).is_err());
}

#[test]
fn text_that_is_not_utf8_is_replaced() {
    with_message(b"\x95\x01\x80\xc0\xa1\xff\x90", |message| match message {
        HubMessage::Invocation(invocation) => assert_eq!(invocation.target, "\u{fffd}"),
        other => panic!("{other:?}"),
    });
}
