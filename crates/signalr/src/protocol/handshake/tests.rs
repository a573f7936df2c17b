//! What a handshake accepts and refuses; each case is from a transcript of
//! ASP.NET Core's server.

use super::*;

fn answer(text: &str) -> Result<HubProtocol, String> {
    let input = format!("{text}\x1e");
    match parse_request(input.as_bytes()) {
        Ok(ParsedRequest::Request { request, consumed }) => {
            assert_eq!(consumed, input.len());
            request
                .accept(&[HubProtocol::Json], TransferFormat::Binary)
                .map_err(|error| error.detailed())
        }
        Ok(ParsedRequest::Incomplete) => panic!("{text}"),
        Err(error) => {
            assert_eq!(
                error.to_string(),
                "An unexpected error occurred during connection handshake."
            );
            Err(error.detailed())
        }
    }
}

#[test]
fn requests_are_accepted_as_recorded() {
    for text in [
        r#"{"protocol":"json","version":1}"#,
        r#"{"protocol":"json","version":2}"#,
        r#"{"protocol":"json","version":0}"#,
        r#"{"protocol":"json","version":-1}"#,
        r#"{"protocol":"JSON","version":1}"#,
        r#"{"protocol":"nope","protocol":"json","version":9,"version":1}"#,
        r#"{"protocol":"json","version":1}x"#,
        r#"{"protocol":"json","version":1,"x":["y"]}"#,
    ] {
        assert_eq!(answer(text), Ok(HubProtocol::Json), "{text}");
    }
}

#[test]
fn choices_are_refused_as_recorded() {
    for (text, refused) in [
        (
            r#"{"protocol":"json","version":3}"#,
            "The server does not support version 3 of the 'json' protocol.",
        ),
        (
            r#"{"protocol":"JSON","version":3}"#,
            "The server does not support version 3 of the 'JSON' protocol.",
        ),
        (
            r#"{"protocol":"nope<>&\u00e9","version":1}"#,
            "The protocol 'nope<>&\u{e9}' is not supported.",
        ),
        (
            r#"{"protocol":"messagepack","version":1}"#,
            "The protocol 'messagepack' is not supported.",
        ),
    ] {
        assert_eq!(answer(text).unwrap_err(), refused);
    }
}

#[test]
fn malformed_requests_are_refused_as_recorded() {
    let prefix = "An unexpected error occurred during connection handshake. ";
    for (text, detail) in [
        (
            r#"{"protocol":"json","version":1"#,
            "JsonReaderException: '1' is an invalid end of a number. Expected a delimiter. \
             LineNumber: 0 | BytePositionInLine: 30.",
        ),
        (
            "",
            "JsonReaderException: The input does not contain any JSON tokens. Expected the \
             input to start with a valid JSON token, when isFinalBlock is true. LineNumber: 0 \
             | BytePositionInLine: 0.",
        ),
        (
            r#"["json",1]"#,
            "InvalidDataException: Unexpected JSON Token Type 'Array'. Expected a JSON Object.",
        ),
        (
            "hello",
            "JsonReaderException: 'h' is an invalid start of a value. LineNumber: 0 | \
             BytePositionInLine: 0.",
        ),
    ] {
        assert_eq!(answer(text).unwrap_err(), format!("{prefix}{detail}"));
    }
    for text in [
        r#"{"protocol":"json","version":2147483648}"#,
        r#"{"protocol":"json","version":1.0}"#,
        r#"{"protocol":"json","version":null}"#,
        r#"{"protocol":"json"}"#,
        r#"{"version":1}"#,
        r#"{"protocol":null,"version":1}"#,
        r#"{"protocol":5,"version":1}"#,
        "{}",
        r#"{"type":1,"invocationId":"1","target":"Echo","arguments":["x"]}"#,
        r#"{"protocol":"json",/*c*/"version":1}"#,
        r#"{"Protocol":"json","Version":1}"#,
    ] {
        assert!(answer(text).unwrap_err().starts_with(prefix), "{text}");
    }
}

#[test]
fn hub_messages_may_follow() {
    let input = b"{\"protocol\":\"json\",\"version\":1}\x1e{\"type\":6}\x1e";
    match parse_request(input).unwrap() {
        ParsedRequest::Request { consumed, .. } => {
            assert_eq!(&input[consumed..], b"{\"type\":6}\x1e")
        }
        ParsedRequest::Incomplete => panic!(),
    }
    assert_eq!(
        parse_request(b"{\"protocol\":\"json\",\"version\":1}"),
        Ok(ParsedRequest::Incomplete)
    );
}

#[test]
fn a_binary_protocol_needs_a_binary_transport() {
    let request = HandshakeRequest {
        protocol: "MessagePack".to_owned(),
        version: 1,
    };
    assert_eq!(
        request.accept(&HubProtocol::ALL, TransferFormat::Binary),
        Ok(HubProtocol::MessagePack)
    );
    assert_eq!(
        request
            .accept(&HubProtocol::ALL, TransferFormat::Text)
            .unwrap_err()
            .to_string(),
        "Cannot use the 'messagepack' protocol on the current transport. The transport does \
         not support 'Binary' transfer format."
    );
}

#[test]
fn answers_are_written_as_recorded() {
    let answer = |error| {
        let mut out = Vec::new();
        write_response(&mut out, error);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(answer(None), "{}\x1e");
    assert_eq!(
        answer(Some("The protocol 'nope<>&\u{e9}' is not supported.")),
        "{\"error\":\"The protocol 'nope<>&\u{e9}' is not supported.\"}\x1e"
    );
    assert_eq!(
        answer(Some(&HandshakeError::Canceled.to_string())),
        "{\"error\":\"Handshake was canceled.\"}\x1e"
    );
}
