//! The JSON reader's grammar against that of serde_json.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use signalr::protocol::HubProtocol;

/// Whether serde_json takes the start of the text for an object: like the
/// server's reader it may leave text behind it.
fn serde_json_reads(text: &str) -> bool {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    matches!(values.next(), Some(Ok(_)))
}

fn reads(text: &str) -> bool {
    HubProtocol::Json
        .parse(format!("{text}\x1e").as_bytes())
        .is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn values_of_random_tokens_are_judged_alike(
        tokens in proptest::collection::vec(
            proptest::sample::select(vec![
                "{", "}", "[", "]", ":", ",", "\"\"", "\"a\"", "\"\\n\"", "\"\\x\"", "\"\\u00e9\"",
                "\"\\ud83d\"", "\"", "\\", "0", "-", "1", "01", "1.5", "1.", ".5", "1e5", "1E+",
                "true", "false", "null", "nul", "NaN", " ", "\n", "\t", "\u{b}", "/**/", "\u{e9}",
            ]),
            0..10,
        ),
    ) {
        let text = format!("{{\"type\":6,\"x\":{}}}", tokens.concat());
        prop_assert_eq!(reads(&text), serde_json_reads(&text), "{}", text);
    }

    #[test]
    fn numbers_are_judged_alike(number in "[-+0-9.eE]{1,8}") {
        let text = format!("{{\"type\":6,\"x\":{number}}}");
        prop_assert_eq!(reads(&text), serde_json_reads(&text), "{}", text);
    }

    #[test]
    fn strings_are_judged_alike(string in "[a\\\\\"u0-9bfnrt/\u{1}\u{e9}]{0,8}") {
        let text = format!("{{\"type\":6,\"x\":\"{string}\"}}");
        prop_assert_eq!(reads(&text), serde_json_reads(&text), "{}", text);
    }
}
