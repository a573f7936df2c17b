//! Reading a workflow's answer.
//!
//! Workflows are drawn by hand and often end in a language model, so the
//! answer may be wrapped (`[{"json":{"output":"```json ..."}}]`) and its fields
//! spelt in many ways. What is understood is checked and mapped, what is not
//! known is kept under `details`; nothing is made up, and a value out of its
//! range is not bent into it.

use serde_json::{Map, Value};
use shared_dto::analysis::AnalysisResult;

use super::fields::{self, Fields};

/// Deeper wrapping is no answer.
const DEEPEST: u8 = 8;

/// Members that wrap the result, in the order in which they are tried.
const WRAPPERS: &[&str] = &[
    "json",
    "output",
    "body",
    "data",
    "result",
    "results",
    "analysis",
    "diagnosis",
    "response",
    "payload",
    "message",
    "choices",
    "content",
    "text",
];

/// What n8n's Webhook node says when it is set to respond immediately.
const STARTED: &str = "Workflow was started";

/// What a workflow answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// A result that holds.
    Result(Box<AnalysisResult>),
    /// The workflow says itself that it failed.
    Failed {
        error: String,
        user_message: Option<String>,
        retryable: bool,
    },
    /// The webhook responds before the workflow is done.
    Started,
    /// Nothing that can be used.
    Invalid(String),
}

/// Reads a whole answer to the analysis `analysis_id`.
pub(super) fn read(body: &[u8], analysis_id: i64) -> Answer {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Answer::Invalid("it is empty".to_owned());
    }
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return Answer::Invalid(format!("it is no JSON: {error}")),
    };
    if value.get("message").and_then(Value::as_str) == Some(STARTED) {
        return Answer::Started;
    }
    match unwrap(value, DEEPEST) {
        Some(members) => judge(Fields::new(members), analysis_id),
        None => Answer::Invalid("it has neither a health score nor a concern".to_owned()),
    }
}

/// The object that says something, out of everything that wraps it.
fn unwrap(value: Value, depth: u8) -> Option<Map<String, Value>> {
    let depth = depth.checked_sub(1)?;
    match value {
        Value::Object(members) if fields::tells(&members) => Some(members),
        Value::Object(mut members) => WRAPPERS.iter().find_map(|wrapper| {
            let key = members
                .keys()
                .find(|key| fields::normal(key) == *wrapper)?
                .clone();
            unwrap(members.remove(&key)?, depth)
        }),
        // n8n answers with a list of items; one photo has one.
        Value::Array(mut items) if items.len() == 1 => unwrap(items.remove(0), depth),
        Value::String(text) => unwrap(serde_json::from_str(unfenced(&text)).ok()?, depth),
        _ => None,
    }
}

/// A language model's JSON without the fence of Markdown around it.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text
        .strip_prefix("```")
        .and_then(|text| text.strip_suffix("```"))
    else {
        return text;
    };
    inner
        .trim_start_matches(|c: char| c.is_ascii_alphabetic())
        .trim()
}

fn judge(mut fields: Fields, analysis_id: i64) -> Answer {
    match fields.analysis_id() {
        Some(Ok(id)) if id != analysis_id => {
            return Answer::Invalid(format!("it belongs to analysis {id}"));
        }
        Some(Err(())) => return Answer::Invalid("its analysisId is no number".to_owned()),
        Some(Ok(_)) | None => {}
    }
    if let Some(failed) = failure(&mut fields) {
        return failed;
    }
    let score = match fields.score() {
        Ok(score) => score,
        Err(why) => return Answer::Invalid(why),
    };
    let mut result = AnalysisResult {
        overall_health_score: score,
        primary_concern: fields.text(fields::CONCERN, 500),
        crop_type: fields.text(fields::CROP, 100),
        confidence: fields.share(&["confidence", "confidencescore", "confidencelevel"]),
        symptoms: fields.symptoms(),
        leaf_area_share: fields.share(&["leafareashare"]),
        severity: fields.severity(),
        recommendations: fields.recommendations(),
        analyser: Some("n8n".to_owned()),
        disclaimer: fields.text(&["disclaimer"], 1_000),
        details: None,
    };
    if result.overall_health_score.is_none() && result.primary_concern.is_none() {
        return Answer::Invalid("it has neither a health score nor a concern".to_owned());
    }
    result.details = fields.rest();
    Answer::Result(Box::new(result))
}

/// `{"status":"Failed","errorMessage":".."}` is the workflow's verdict on the
/// photo; `{"error":..}` alone is n8n's own trouble and may pass.
fn failure(fields: &mut Fields) -> Option<Answer> {
    let status = fields
        .text(&["status", "analysisstatus"], 50)
        .map(|status| fields::normal(&status));
    let verdict = matches!(status.as_deref(), Some("failed" | "failure" | "error"));
    if !verdict && (fields.tells_result() || !fields.tells_error()) {
        return None;
    }
    let user_message = fields.text(&["usermessage", "errormessage"], 300);
    let error = fields
        .describe(&["error"])
        .or_else(|| fields.text(&["message"], 300));
    Some(Answer::Failed {
        retryable: fields.flag("retryable").unwrap_or(!verdict),
        error: match (error, &user_message) {
            (Some(error), _) => format!("the workflow failed: {error}"),
            (None, Some(message)) => format!("the workflow failed: {message}"),
            (None, None) => "the workflow failed".to_owned(),
        },
        user_message: user_message.filter(|_| verdict),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn result(body: &str) -> AnalysisResult {
        match read(body.as_bytes(), 7) {
            Answer::Result(result) => *result,
            other => panic!("{body}: {other:?}"),
        }
    }

    fn invalid(body: &str) -> String {
        match read(body.as_bytes(), 7) {
            Answer::Invalid(why) => why,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn all_spellings_and_wrappings_give_the_same_result() {
        let plain = r#"{"overallHealthScore":72,"primaryConcern":"Leaf rust"}"#;
        let text = serde_json::to_string(plain).unwrap();
        let fenced = serde_json::to_string(&format!("```json\n{plain}\n```")).unwrap();
        for body in [
            plain.to_owned(),
            format!("\u{feff} {plain}\n"),
            format!("[{plain}]"),
            format!(r#"[{{"json":{plain}}}]"#),
            format!(r#"{{"output":{plain}}}"#),
            format!(r#"[{{"output":{text}}}]"#),
            format!(r#"{{"output":{fenced}}}"#),
            format!(r#"{{"success":true,"data":{{"analysis":{plain}}}}}"#),
            format!(r#"[{{"message":{{"content":{fenced}}}}}]"#),
            r#"{"overall_health_score":"72","primary_concern":"Leaf rust"}"#.to_owned(),
            r#"{"OverallHealthScore":72.4,"Primary Concern":" Leaf rust "}"#.to_owned(),
            r#"{"health-score":"72 %","diagnosis":"Leaf rust"}"#.to_owned(),
            r#"{"score":"7.2/10","disease":"Leaf rust","analysisId":7}"#.to_owned(),
            r#"{"healthScore":0.72,"concern":"Leaf rust","analysis_id":"7"}"#.to_owned(),
        ] {
            let result = result(&body);
            assert_eq!(result.overall_health_score, Some(72), "{body}");
            assert_eq!(
                result.primary_concern.as_deref(),
                Some("Leaf rust"),
                "{body}"
            );
            assert_eq!(result.analyser.as_deref(), Some("n8n"));
        }
    }

    #[test]
    fn fields_are_checked_and_the_rest_is_kept() {
        let result = result(
            r#"{"health_score": 40, "confidence": 87, "severity": "Critical", "crop": "wheat",
                "recommendations": ["Spray", {"action": "Isolate"}, 5, ""],
                "symptoms": [{"name":"rust","percentage":12.5,"count":9},{"kind":"chlorosis","leafShare":0.3}],
                "model": "gpt", "weird": {"nested": ["\u0000x"]}, "leafAreaShare": 7000}"#,
        );
        assert_eq!(result.confidence, Some(0.87));
        assert_eq!(result.severity.as_deref(), Some("severe"));
        assert_eq!(result.crop_type.as_deref(), Some("wheat"));
        assert_eq!(result.recommendations, ["Spray", "Isolate"]);
        assert_eq!(result.symptoms.len(), 2);
        assert_eq!(result.symptoms[0].kind, "chlorosis");
        assert!((result.symptoms[1].leaf_share - 0.125).abs() < 1e-9);
        assert_eq!(result.symptoms[1].patches, 9);
        assert_eq!(
            result.details,
            Some(
                json!({"model": "gpt", "weird": {"nested": ["\u{fffd}x"]}, "leafAreaShare": 7000})
            )
        );
    }

    #[test]
    fn what_is_no_result_is_said_so() {
        for body in [
            "",
            "  ",
            "<html><body>502</body></html>",
            r#"{"overallHealthScore":7"#,
            "null",
            "[]",
            "true",
            "\"ok\"",
            "{}",
            "[{},{}]",
            r#"{"foo":1}"#,
            r#"{"output":"I see rust."}"#,
            r#"{"score":101}"#,
            r#"{"score":-1}"#,
            r#"{"score":"good"}"#,
            r#"{"score":[72]}"#,
            r#"{"score":"11/10"}"#,
            r#"{"score":"5/0"}"#,
            r#"{"score":1e400}"#,
            r#"{"score":50,"analysisId":8}"#,
            r#"{"score":50,"analysisId":"x"}"#,
            r#"{"score":null,"primaryConcern":"  "}"#,
        ] {
            assert!(!invalid(body).is_empty(), "{body}");
        }
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        invalid(&deep);
        let wrapped = format!(
            "{}{}{}",
            r#"{"output":"#.repeat(20),
            r#"{"score":1}"#,
            "}".repeat(20)
        );
        invalid(&wrapped);
    }

    #[test]
    fn a_workflow_may_say_that_it_failed() {
        let read = |body: &str| match read(body.as_bytes(), 7) {
            Answer::Failed {
                user_message,
                retryable,
                ..
            } => (user_message, retryable),
            other => panic!("{body}: {other:?}"),
        };
        let verdict = r#"{"status":"Failed","errorMessage":"The photo is too dark"}"#;
        assert_eq!(
            read(verdict),
            (Some("The photo is too dark".to_owned()), false)
        );
        assert_eq!(
            read(r#"[{"status":"error","retryable":true}]"#),
            (None, true)
        );
        assert_eq!(
            read(r#"{"error":{"message":"ECONNRESET"},"errorMessage":"x"}"#),
            (None, true)
        );
        assert_eq!(
            read(r#"{"error":"quota","retryable":false}"#),
            (None, false)
        );
        assert_eq!(
            result(r#"{"status":"success","error":null,"score":5}"#).overall_health_score,
            Some(5)
        );
    }

    #[test]
    fn started_is_not_done() {
        assert!(matches!(
            read(br#"{"message":"Workflow was started"}"#, 7),
            Answer::Started
        ));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            (-200_i64..200).prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            "[0-9]{1,3}(\\.[0-9])?( ?%|/10)?".prop_map(Value::from),
        ];
        let name = prop_oneof![
            prop::sample::select(vec![
                "overallHealthScore",
                "score",
                "primary_concern",
                "status",
                "error",
                "confidence",
                "symptoms",
                "name",
                "share",
                "percentage",
                "patches",
                "recommendations",
                "severity",
                "leafAreaShare",
                "analysisId",
                "output",
                "json",
                "data",
                "message",
            ])
            .prop_map(str::to_owned),
            ".{0,6}",
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(name.clone(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_comes_a_result_keeps_its_promises(value in any_json()) {
            if let Answer::Result(result) = read(value.to_string().as_bytes(), 7) {
                let share = |share: f64| (0.0..=1.0).contains(&share);
                prop_assert!(result.overall_health_score.is_none_or(|score| score <= 100));
                prop_assert!(result.confidence.is_none_or(share));
                prop_assert!(result.leaf_area_share.is_none_or(share));
                prop_assert!(result.symptoms.iter().all(|symptom| share(symptom.leaf_share)));
                prop_assert!(result.overall_health_score.is_some() || result.primary_concern.is_some());
                prop_assert!(!serde_json::to_string(&result).unwrap().contains("\\u0000"));
            }
        }

        #[test]
        fn no_bytes_end_the_reader(body in prop::collection::vec(any::<u8>(), 0..400)) {
            read(&body, 7);
        }
    }
}
