//! Checks of what workers and analysers send, shared by the routes that take it.

use serde::Serialize;
use serde_json::{Map, Value};
use shared_dto::{
    analysis::{AnalysisResult, Progress},
    problem::FieldError,
};

use crate::http::{ApiError, json::has_nul, problem::Kind};

const LONGEST_STAGE: usize = 64;
const LONGEST_MESSAGE: usize = 500;
const LONGEST_TOKEN: usize = 128;
const LONGEST_RESULT: usize = 256 * 1024;
const MOST_SYMPTOMS: usize = 100;
const LONGEST_EVENT: usize = 64;

/// Objects and arrays in one another. Clients of SignalR read 64 levels (the
/// default of System.Text.Json), the message around a payload included.
const DEEPEST: usize = 60;

/// Names that clients of SignalR keep for themselves, and those of the hub's own events.
const RESERVED_EVENTS: &[&str] = &[
    "ReceiveAnalysisCompleted",
    "ReceiveAnalysisFailed",
    "ReceiveAnalysisProgress",
    "AnalysisCompleted",
    "AnalysisFailed",
    "AnalysisProgress",
    "Pong",
];

/// Collects what is wrong, so that a sender learns all of it at once.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FieldError>);

impl Faults {
    pub(crate) fn add(&mut self, field: &str, detail: &str, accepted: &str) {
        self.0.push(FieldError {
            field: field.to_owned(),
            detail: detail.to_owned(),
            accepted: accepted.to_owned(),
        });
    }

    pub(crate) fn check(&mut self, good: bool, field: &str, detail: &str, accepted: &str) {
        if !good {
            self.add(field, detail, accepted);
        }
    }

    pub(crate) fn into_result(self) -> Result<(), ApiError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ApiError::fields(Kind::INVALID_REQUEST, self.0))
        }
    }
}

/// A fencing token as it was sent; whether it is the right one is the store's question.
pub(crate) fn token(token: &str, field: &str, faults: &mut Faults) {
    let good = (1..=LONGEST_TOKEN).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    faults.check(good, field, "it is no token", "the token of the lease");
}

pub(crate) fn progress(progress: &Progress, prefix: &str, faults: &mut Faults) {
    let Progress {
        percent,
        stage,
        message,
    } = progress;
    if *percent > 100 {
        faults.add(&format!("{prefix}percent"), "it is above 100", "0 to 100");
    }
    for (name, text, longest) in [
        ("stage", stage, LONGEST_STAGE),
        ("message", message, LONGEST_MESSAGE),
    ] {
        if !is_within(text, longest) || has_control(text) {
            let accepted = format!("at most {longest} characters without control characters");
            faults.add(
                &format!("{prefix}{name}"),
                "it is too long or not plain",
                &accepted,
            );
        }
    }
}

/// Whether a text has at most `longest` characters. They are counted where it
/// has more bytes than that alone.
pub(super) fn is_within(text: &str, longest: usize) -> bool {
    text.len() <= longest || text.chars().count() <= longest
}

/// Whether a text has a control character. Those beyond ASCII are U+0080 to
/// U+009F: their first byte is 0xC2.
fn has_control(text: &str) -> bool {
    let suspect = |byte: u8| byte.is_ascii_control() || byte == 0xC2;
    text.bytes().any(suspect) && text.chars().any(char::is_control)
}

pub(crate) fn result(result: &AnalysisResult, faults: &mut Faults) {
    let share = |value: f64| (0.0..=1.0).contains(&value);
    let score = result.overall_health_score.is_none_or(|score| score <= 100);
    faults.check(
        score,
        "result.overallHealthScore",
        "it is above 100",
        "0 to 100",
    );
    for (field, value) in [
        ("result.confidence", result.confidence),
        ("result.leafAreaShare", result.leaf_area_share),
    ] {
        faults.check(
            value.is_none_or(share),
            field,
            "it is outside 0 to 1",
            "0 to 1",
        );
    }
    let symptoms = &result.symptoms;
    let good = symptoms.len() <= MOST_SYMPTOMS && symptoms.iter().all(|s| share(s.leaf_share));
    faults.check(
        good,
        "result.symptoms",
        "too many, or a share outside 0 to 1",
        "at most 100",
    );
    match serde_json::to_value(result) {
        Ok(value) => {
            faults.check(
                !has_nul(&value),
                "result",
                "it holds the character U+0000",
                "other text",
            );
            let length = value.to_string().len();
            faults.check(
                length <= LONGEST_RESULT,
                "result",
                "it is too large",
                "at most 256 KiB",
            );
        }
        Err(_) => faults.add("result", "it cannot be stored", "see /openapi.json"),
    }
}

/// The name of an event that is not the hub's own.
pub(crate) fn event(name: &str, field: &str, faults: &mut Faults) {
    let good = (1..=LONGEST_EVENT).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    let accepted = "a letter, then at most 63 letters, digits, or _ . -";
    faults.check(good, field, "it is no name of an event", accepted);
    let reserved = RESERVED_EVENTS
        .iter()
        .any(|own| own.eq_ignore_ascii_case(name));
    faults.check(
        !reserved,
        field,
        "it is the hub's own",
        "another name, or notification",
    );
}

/// Payloads of events.
pub(crate) fn payload(value: &Value, field: &str, faults: &mut Faults) {
    bounded(value, Shape::of(value), field, faults);
}

/// Payloads of notifications: the members of an object.
pub(crate) fn members(members: &Map<String, Value>, field: &str, faults: &mut Faults) {
    bounded(members, Shape::of_members(members), field, faults);
}

fn bounded(value: &impl Serialize, shape: Shape, field: &str, faults: &mut Faults) {
    const LONGEST: usize = 64 * 1024;
    shallow(shape.depth, field, faults);
    faults.check(
        !shape.has_nul,
        field,
        "it holds the character U+0000",
        "other text",
    );
    faults.check(
        shape.at_most <= LONGEST || length(value) <= LONGEST,
        field,
        "it is too large",
        "at most 64 KiB",
    );
}

/// What is to be known of a value, found in one walk.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    /// How many objects and arrays are in one another.
    depth: usize,
    /// Any text in it holds U+0000 (see [`has_nul`]).
    has_nul: bool,
    /// It is no longer than this as JSON.
    at_most: usize,
}

impl Shape {
    fn of(value: &Value) -> Self {
        // The longest number is a double, as -1.2345678901234567e-308.
        let longest = |at_most| Self {
            at_most,
            ..Self::default()
        };
        match value {
            Value::Null => longest(4),
            Value::Bool(_) => longest(5),
            Value::Number(_) => longest(24),
            Value::String(text) => Self::of_text(text),
            Value::Array(items) => items.iter().fold(Self::of_empty(), |shape, item| {
                shape.with(Self::of(item), ",")
            }),
            Value::Object(members) => Self::of_members(members),
        }
    }

    fn of_members(members: &Map<String, Value>) -> Self {
        let members = members.iter();
        members.fold(Self::of_empty(), |shape, (name, value)| {
            let shape = shape.with(Self::of_text(name), ":");
            shape.with(Self::of(value), ",")
        })
    }

    /// At worst each of its bytes is written as an escape of six.
    fn of_text(text: &str) -> Self {
        Self {
            depth: 0,
            has_nul: text.contains('\0'),
            at_most: 2 + 6 * text.len(),
        }
    }

    fn of_empty() -> Self {
        Self {
            depth: 1,
            has_nul: false,
            at_most: 2,
        }
    }

    fn with(self, inner: Self, mark: &str) -> Self {
        Self {
            depth: self.depth.max(1 + inner.depth),
            has_nul: self.has_nul | inner.has_nul,
            at_most: self.at_most + inner.at_most + mark.len(),
        }
    }
}

/// What is nested deeper would be taken and then reach nobody.
pub(super) fn shallow(depth: usize, field: &str, faults: &mut Faults) {
    faults.check(
        depth <= DEEPEST,
        field,
        "it is nested too deeply for clients",
        "objects and arrays at most 60 levels deep",
    );
}

/// How many objects and arrays are in one another; the reader bounds them.
pub(super) fn depth(value: &Value) -> usize {
    Shape::of(value).depth
}

/// How long a value is as JSON, without making the text.
fn length(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_as_long_as_its_text_and_no_longer_than_its_shape_says() {
        for value in [
            json!(null),
            json!({"a": [1, 2.5, "\u{1}ü"]}),
            json!(""),
            json!([true, false, i64::MIN, u64::MAX, -2.2250738585072014e-308]),
            json!({"\u{1}\u{2}": {"": []}, "\"\\": [[], {}, null]}),
        ] {
            assert_eq!(length(&value), value.to_string().len());
            assert!(Shape::of(&value).at_most >= length(&value), "{value}");
        }
    }

    #[test]
    fn a_value_that_may_be_too_long_is_measured() {
        let text = "a".repeat(64 * 1024 - 2);
        for (value, good) in [(json!(text), true), (json!(format!("{text}b")), false)] {
            let mut faults = Faults::default();
            payload(&value, "payload", &mut faults);
            assert_eq!(faults.into_result().is_ok(), good);
        }
    }

    #[test]
    fn texts_are_counted_in_characters_and_searched_for_all_controls() {
        assert!(is_within("üü", 2) && !is_within("üüü", 2));
        for (text, found) in [
            ("plain", false),
            ("© £", false),
            ("a\n", true),
            ("\u{7f}", true),
            ("é\u{85}", true),
        ] {
            assert_eq!(has_control(text), found, "{text:?}");
        }
    }

    #[test]
    fn a_value_is_as_deep_as_its_deepest_branch() {
        for (value, deep) in [
            (json!("[["), 0),
            (json!([]), 1),
            (json!({"a": 1, "b": [[], 2], "c": {}}), 3),
        ] {
            assert_eq!(depth(&value), deep, "{value}");
        }
    }
}
