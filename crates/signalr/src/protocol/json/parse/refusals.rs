//! What the JSON parser refuses, and in which words; each case is from a
//! transcript of ASP.NET Core's server with detailed errors.

use super::parse;

fn refusal(text: &str) -> String {
    match parse(format!("{text}\x1e").as_bytes()) {
        Err(error) => format!("{}: {}", error.exception, error.message),
        Ok(parsed) => panic!("{text}: {parsed:?}"),
    }
}

#[test]
fn malformed_text_is_refused_as_recorded() {
    let deep = format!("{{\"type\":6,\"x\":{}{}}}", "[".repeat(64), "]".repeat(64));
    for text in [
        "nonsense",
        "",
        "  ",
        "{\"type\":1,",
        "{\"type\":1,\"target\":\"Ec",
        "{\"type\":6,}",
        "{'type':6}",
        "\u{feff}{\"type\":6}",
        &deep,
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"x\",}]}",
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[nope]}",
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"EchoInt\",\"arguments\":[01]}",
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"EchoDouble\",\"arguments\":[NaN]}",
    ] {
        assert_eq!(
            refusal(text),
            "InvalidDataException: Error reading JSON.",
            "{text}"
        );
    }
}

#[test]
fn wrong_kinds_are_refused_as_recorded() {
    let invocation = |member| format!("{{\"type\":1,{member},\"x\":1}}");
    for (member, refused) in [
        ("\"target\":null", "Expected 'target' to be of type String."),
        ("\"target\":5", "Expected 'target' to be of type String."),
        (
            "\"arguments\":{\"s\":\"x\"}",
            "Expected 'arguments' to be of type Array.",
        ),
        (
            "\"arguments\":\"x\"",
            "Expected 'arguments' to be of type Array.",
        ),
        (
            "\"arguments\":null",
            "Expected 'arguments' to be of type Array.",
        ),
        (
            "\"invocationId\":{}",
            "Expected 'invocationId' to be of type String.",
        ),
        (
            "\"invocationId\":null",
            "Expected 'invocationId' to be of type String.",
        ),
        (
            "\"headers\":null",
            "Expected 'headers' to be of type StartObject.",
        ),
        (
            "\"headers\":{\"a\":5}",
            "Expected header 'a' to be of type String.",
        ),
        (
            "\"headers\":{\"a\":null}",
            "Expected header 'a' to be of type String.",
        ),
        (
            "\"streamIds\":null",
            "Expected 'streamIds' to be of type Array.",
        ),
        (
            "\"streamIds\":[null]",
            "Null value for 'streamIds' is not valid.",
        ),
        ("\"error\":null", "Expected 'error' to be of type String."),
        ("\"error\":5", "Expected 'error' to be of type String."),
        (
            "\"allowReconnect\":\"x\"",
            "Expected 'allowReconnect' to be true or false.",
        ),
        ("\"type\":\"1\"", "Expected 'type' to be of type Number."),
        (
            "\"sequenceId\":\"1\"",
            "Expected 'sequenceId' to be of type Number.",
        ),
        ("\"target\":nope", "Error reading JSON."),
    ] {
        assert_eq!(
            refusal(&invocation(member)),
            format!("InvalidDataException: {refused}")
        );
    }
    assert_eq!(
        refusal(&invocation("\"streamIds\":[1]")),
        "InvalidOperationException: Cannot get the value of a token type 'Number' as a string."
    );
    for number in ["99999999999", "1.5", "1.0", "1e0"] {
        assert_eq!(
            refusal(&format!("{{\"type\":{number}}}")),
            "FormatException: Either the JSON value is not in a supported format, or is out of \
             bounds for an Int32."
        );
    }
}

#[test]
fn what_is_no_object_is_refused_by_its_kind() {
    for (text, kind) in [
        ("[]", "Array"),
        ("42", "Number"),
        ("null", "Null"),
        ("\"x\"", "String"),
    ] {
        assert_eq!(
            refusal(text),
            format!(
                "InvalidDataException: Unexpected JSON Token Type '{kind}'. Expected a JSON Object."
            )
        );
    }
}

#[test]
fn what_a_type_requires_is_missed_as_recorded() {
    for (text, name) in [
        ("{}", "type"),
        (
            "{\"type\":1,\"invocationId\":\"1\",\"arguments\":[]}",
            "target",
        ),
        ("{\"type\":1,\"arguments\":[]}", "target"),
        (
            "{\"type\":1,\"invocationId\":\"1\",\"target\":\"\"}",
            "target",
        ),
        (
            "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Void\"}",
            "arguments",
        ),
        (
            "{\"type\":1,\"invocationId\":\"1\",\"target\":\"U\",\"streamIds\":[\"s\"]}",
            "arguments",
        ),
        ("{\"type\":2,\"item\":1}", "invocationId"),
        ("{\"type\":2,\"invocationId\":\"1\"}", "item"),
        ("{\"type\":3,\"result\":1}", "invocationId"),
        (
            "{\"type\":4,\"target\":\"Stream\",\"arguments\":[2]}",
            "invocationId",
        ),
        ("{\"type\":5}", "invocationId"),
        ("{\"type\":8}", "sequenceId"),
    ] {
        assert_eq!(
            refusal(text),
            format!("InvalidDataException: Missing required property '{name}'.")
        );
    }
    assert_eq!(
        refusal("{\"type\":3,\"invocationId\":\"nope\",\"error\":\"e\",\"result\":1}"),
        "InvalidDataException: The 'error' and 'result' properties are mutually exclusive."
    );
}
