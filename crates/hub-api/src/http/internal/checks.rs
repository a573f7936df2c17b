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
    faults.check(
        *percent <= 100,
        &format!("{prefix}percent"),
        "it is above 100",
        "0 to 100",
    );
    for (name, text, longest) in [
        ("stage", stage, LONGEST_STAGE),
        ("message", message, LONGEST_MESSAGE),
    ] {
        let good = text.chars().count() <= longest && !text.chars().any(char::is_control);
        let accepted = format!("at most {longest} characters without control characters");
        faults.check(
            good,
            &format!("{prefix}{name}"),
            "it is too long or not plain",
            &accepted,
        );
    }
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
    bounded(value, depth(value), has_nul(value), field, faults);
}

/// Payloads of notifications: the members of an object.
pub(crate) fn members(members: &Map<String, Value>, field: &str, faults: &mut Faults) {
    let nul = members
        .iter()
        .any(|(name, value)| name.contains('\0') || has_nul(value));
    let depth = 1 + members.values().map(depth).max().unwrap_or(0);
    bounded(members, depth, nul, field, faults);
}

fn bounded(value: &impl Serialize, depth: usize, has_nul: bool, field: &str, faults: &mut Faults) {
    const LONGEST: usize = 64 * 1024;
    shallow(depth, field, faults);
    faults.check(
        !has_nul,
        field,
        "it holds the character U+0000",
        "other text",
    );
    faults.check(
        length(value) <= LONGEST,
        field,
        "it is too large",
        "at most 64 KiB",
    );
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
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// How long a value is as JSON. Every notification is measured, so the text
/// itself is not made.
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
    fn a_value_is_as_long_as_its_text() {
        for value in [json!(null), json!({"a": [1, 2.5, "\u{1}ü"]}), json!("")] {
            assert_eq!(length(&value), value.to_string().len());
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
