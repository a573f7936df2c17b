//! What the JSON parser accepts; each case is from a transcript of
//! ASP.NET Core's server.

use super::*;

fn message(text: &str) -> HubMessage<'_> {
    match parse(text.as_bytes()) {
        Ok(Parsed::Message { message, consumed }) => {
            assert_eq!(consumed, text.find('\x1e').unwrap() + 1);
            message
        }
        other => panic!("{text}: {other:?}"),
    }
}

fn invocation(text: &str) -> Invocation<'_> {
    match message(text) {
        HubMessage::Invocation(invocation) => invocation,
        other => panic!("{text}: {other:?}"),
    }
}

/// Id, target and the text of the arguments of an `Echo`.
fn echo(text: &str) -> (Option<String>, String, Vec<String>) {
    let invocation = invocation(text);
    let arguments = invocation
        .arguments
        .iter()
        .map(|argument| String::from_utf8(argument.as_bytes().to_vec()).unwrap());
    (
        invocation.invocation_id.map(|id| id.into_owned()),
        invocation.target.clone().into_owned(),
        arguments.collect(),
    )
}

#[test]
fn members_come_in_any_order() {
    for text in [
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"x\"]}\x1e",
        "{\"arguments\":[\"x\"],\"target\":\"Echo\",\"invocationId\":\"1\",\"type\":1}\x1e",
        " \r\n\t{ \"type\" : 1 , \"invocationId\" : \"1\" , \"target\" : \"Echo\" , \"arguments\" : [ \"x\" ] } \n\x1e",
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"x\"],\"extra\":{\"a\":[1,{\"b\":null}]},\"another\":1}\x1e",
        "{\"type\":1,\"invocationId\":\"0\",\"invocationId\":\"1\",\"target\":\"Void\",\"target\":\"Echo\",\"arguments\":[\"x\"]}\x1e",
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"one\"],\"arguments\":[\"x\"]}\x1e",
        "{\"type\":6,\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"x\"]}\x1e",
        "{\"Type\":6,\"type\":1,\"InvocationId\":\"9\",\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"x\"]}\x1e",
        "{\"type\":1,\"\\u0069nvocationId\":\"1\",\"\\u0074arget\":\"\\u0045cho\",\"arguments\":[\"x\"]}\x1e",
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"x\"],\"error\":\"e\"}\x1e",
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"x\"]}trailing\x1e",
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"x\"]}{\"type\":6}\x1e",
    ] {
        let expected = (
            Some("1".to_owned()),
            "Echo".to_owned(),
            vec!["\"x\"".to_owned()],
        );
        assert_eq!(echo(text), expected, "{text}");
    }
}

#[test]
fn an_empty_id_is_none_and_any_other_is_kept() {
    let with_id = |id| {
        format!("{{\"type\":1,\"invocationId\":\"{id}\",\"target\":\"Echo\",\"arguments\":[]}}\x1e")
    };
    assert_eq!(echo(&with_id("")).0, None);
    assert_eq!(echo(&with_id(" ")).0.as_deref(), Some(" "));
    assert_eq!(
        echo(&with_id("a\\\"b<>&\u{e9}")).0.as_deref(),
        Some("a\"b<>&\u{e9}")
    );
}

#[test]
fn an_empty_target_passes_to_the_hub() {
    let text = "{\"type\":1,\"invocationId\":\"1\",\"target\":\"\",\"arguments\":[]}\x1e";
    assert_eq!(invocation(text).target, "");
}

#[test]
fn headers_are_kept_in_order_and_the_last_doubled_one_counts() {
    let text = "{\"type\":1,\"headers\":{\"a\":\"b\",\"c\":\"\",\"a\":\"d\"},\"target\":\"E\",\"arguments\":[]}\x1e";
    let headers = invocation(text).headers.0;
    assert_eq!(headers, [("a".into(), "d".into()), ("c".into(), "".into())]);
}

#[test]
fn a_stray_item_is_told_from_other_strays() {
    let stray = |extra| {
        format!(
            "{{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[]{extra}}}\x1e"
        )
    };
    assert!(invocation(&stray(",\"item\":{\"a\":1}")).stray_payload);
    assert!(!invocation(&stray(",\"result\":{\"a\":1}")).stray_payload);
    assert!(
        !invocation(
            "{\"item\":1,\"type\":1,\"invocationId\":\"1\",\"target\":\"E\",\"arguments\":[]}\x1e"
        )
        .stray_payload
    );
}

#[test]
fn items_know_whether_the_id_came_first() {
    let before_id = |text| match message(text) {
        HubMessage::StreamItem(item) => item.item_before_id,
        other => panic!("{other:?}"),
    };
    assert!(!before_id(
        "{\"type\":2,\"invocationId\":\"s\",\"item\":null}\x1e"
    ));
    assert!(before_id(
        "{\"type\":2,\"item\":1,\"invocationId\":\"s\"}\x1e"
    ));
}

#[test]
fn completions_have_one_of_three_outcomes() {
    let outcome = |text| match message(text) {
        HubMessage::Completion(completion) => completion.outcome,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        outcome("{\"type\":3,\"invocationId\":\"s\"}\x1e"),
        CompletionOutcome::Void
    ));
    match outcome("{\"result\":42,\"invocationId\":\"s\",\"type\":3}\x1e") {
        CompletionOutcome::Result(value) => assert_eq!(value.deserialize::<i32>(), Ok(42)),
        other => panic!("{other:?}"),
    }
    match outcome("{\"type\":3,\"invocationId\":\"s\",\"error\":\"\"}\x1e") {
        CompletionOutcome::Error(error) => assert_eq!(error, ""),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_other_messages_are_read() {
    assert!(matches!(message("{\"type\":6}\x1e"), HubMessage::Ping));
    assert!(matches!(
        message("{ \"type\":6, \"x\":1}\x1e"),
        HubMessage::Ping
    ));
    assert!(matches!(
        message("{\"type\":5,\"invocationId\":\"1\"}\x1e"),
        HubMessage::CancelInvocation { invocation_id } if invocation_id == "1"
    ));
    assert!(matches!(
        message("{\"type\":7,\"error\":\"\",\"allowReconnect\":true}\x1e"),
        HubMessage::Close { error: Some(error), allow_reconnect: true } if error.is_empty()
    ));
    assert!(matches!(
        message("{\"type\":8,\"sequenceId\":-1}\x1e"),
        HubMessage::Ack { sequence_id: -1 }
    ));
    assert!(matches!(
        message("{\"type\":9,\"sequenceId\":5}\x1e"),
        HubMessage::Sequence { sequence_id: 5 }
    ));
    match message(
        "{\"type\":4,\"invocationId\":\"1\",\"target\":\"S\",\"arguments\":[2],\"streamIds\":[\"a\",\"b\"]}\x1e",
    ) {
        HubMessage::StreamInvocation(stream) => assert_eq!(stream.stream_ids, ["a", "b"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn unknown_types_are_skipped() {
    for kind in ["0", "-1", "10", "42"] {
        let text = format!("{{\"type\":{kind},\"target\":\"Echo\"}}\x1erest");
        match parse(text.as_bytes()).unwrap() {
            Parsed::Unknown { consumed } => assert_eq!(&text[consumed..], "rest"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_message_without_its_end_is_incomplete() {
    let text = b"{\"type\":1,\"target\":\"Echo\",\"arguments\":[]}";
    for length in 0..=text.len() {
        assert!(matches!(parse(&text[..length]), Ok(Parsed::Incomplete)));
    }
}

#[test]
fn strings_without_escapes_are_borrowed() {
    let text = "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[]}\x1e";
    let invocation = invocation(text);
    assert!(matches!(invocation.target, std::borrow::Cow::Borrowed(_)));
    assert!(matches!(
        invocation.invocation_id,
        Some(std::borrow::Cow::Borrowed(_))
    ));
}

#[test]
fn an_argument_may_be_sixty_two_levels_deep() {
    let nested = |depth: usize| {
        let argument = "[".repeat(depth) + &"]".repeat(depth);
        format!(
            "{{\"type\":1,\"invocationId\":\"1\",\"target\":\"EchoAny\",\"arguments\":[{argument}]}}\x1e"
        )
    };
    assert_eq!(echo(&nested(62)).2.len(), 1);
    assert!(parse(nested(63).as_bytes()).is_err());
}
