//! Reads the DTO of an analysis notification: every field that has a meaning
//! is checked, members that only a newer sender knows are kept.

mod reader;

use serde_json::Value;
use shared_dto::{
    UserId,
    analysis::{AnalysisResult, AnalysisStatus, Progress},
    notification::AnalysisProgress,
    notify::NotifyType,
};
use time::OffsetDateTime;

use self::reader::Reader;
use super::checks::{self, Faults};
use crate::http::{ApiError, problem::Kind};

/// How strictly a DTO is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As `/internal/notify` documents it.
    Strict,
    /// As senders of the deployed contract write it: ids as text, texts missing.
    Deployed,
}

/// What a notification says.
#[derive(Debug)]
pub(super) enum Notice {
    /// An analysis ended: an entry of the log.
    Terminal(Ended),
    /// An analysis is under way: told and not logged.
    Progress(AnalysisProgress),
}

/// The end of an analysis.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) event: &'static str,
    pub(super) analysis_id: i64,
    pub(super) payload: Value,
    /// What the user is told, where it failed.
    pub(super) error_message: Option<String>,
}

/// Reads `notification` for `user`. `kind` is what the sender says that it is;
/// without it the status decides.
pub(super) fn read(
    kind: Option<NotifyType>,
    user: &UserId,
    notification: Value,
    result: Option<&AnalysisResult>,
    reading: Reading,
) -> Result<Notice, ApiError> {
    let Value::Object(members) = notification else {
        return Err(ApiError::invalid(
            "notification",
            "it is no object",
            "an object",
        ));
    };
    let kind = kind_of(kind, members.get("status"))?;
    if let Some(given) = members.get("userId").filter(|given| !given.is_null()) {
        same_user(user, given)?;
    }
    let mut reader = Reader {
        members,
        faults: Faults::default(),
        reading,
    };
    checks::members(&reader.members, "notification", &mut reader.faults);
    let notice = match kind {
        NotifyType::Completed => reader.completed(user, result),
        NotifyType::Failed => reader.failed(user),
        NotifyType::Progress => reader.progress(user),
    };
    reader.faults.into_result()?;
    Ok(notice)
}

fn kind_of(told: Option<NotifyType>, status: Option<&Value>) -> Result<NotifyType, ApiError> {
    const ACCEPTED: &str = "Completed, Failed or Processing";
    let by_status = match status.filter(|status| !status.is_null()) {
        None => None,
        Some(status) => match status.as_str() {
            Some("Completed") => Some(NotifyType::Completed),
            Some("Failed") => Some(NotifyType::Failed),
            Some("Processing") => Some(NotifyType::Progress),
            _ => {
                return Err(ApiError::invalid(
                    "notification.status",
                    "it is no status",
                    ACCEPTED,
                ));
            }
        },
    };
    match (told, by_status) {
        (Some(told), Some(status)) if told != status => Err(ApiError::invalid(
            "notification.status",
            "it contradicts the type",
            "the status of the type",
        )),
        (Some(kind), _) | (None, Some(kind)) => Ok(kind),
        (None, None) => Err(ApiError::invalid(
            "type",
            "it is missing, and so is notification.status",
            "analysis.completed, analysis.failed or analysis.progress",
        )),
    }
}

fn same_user(user: &UserId, given: &Value) -> Result<(), ApiError> {
    match serde_json::from_value::<UserId>(given.clone()) {
        Ok(given) if given == *user => Ok(()),
        Ok(_) => Err(ApiError::field(
            Kind::UNPROCESSABLE,
            "notification.userId",
            "it is another user than userId",
            "the same user",
        )),
        Err(_) => Err(ApiError::invalid(
            "notification.userId",
            "it is no user id",
            "a user id",
        )),
    }
}

/// The DTO of progress.
pub(in crate::http) fn progress_of(
    analysis_id: i64,
    user: &UserId,
    progress: &Progress,
    timestamp: OffsetDateTime,
) -> AnalysisProgress {
    AnalysisProgress {
        analysis_id,
        user_id: user.clone(),
        status: AnalysisStatus::Processing,
        percent: progress.percent,
        stage: progress.stage.clone(),
        message: progress.message.clone(),
        timestamp,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_strictly(kind: Option<NotifyType>, notification: Value) -> Result<Notice, ApiError> {
        read(kind, &UserId::from(42), notification, None, Reading::Strict)
    }

    fn payload(notice: Result<Notice, ApiError>) -> Value {
        match notice.unwrap() {
            Notice::Terminal(ended) => ended.payload,
            Notice::Progress(progress) => serde_json::to_value(progress).unwrap(),
        }
    }

    #[test]
    fn the_kind_is_inferred_and_the_dto_completed() {
        let sent = json!({"analysisId": 7, "status": "Completed", "completedAt": "2026-01-31T12:00:00.1234567", "farm": "north", "sequence": 99});
        let payload = payload(read_strictly(None, sent));
        assert_eq!(payload["userId"], 42);
        assert_eq!(payload["deepLink"], "app://analysis/7");
        assert_eq!(payload["completedAt"], "2026-01-31T12:00:00.1234567Z");
        assert_eq!(payload["farm"], "north");
        assert_eq!(payload["cropType"], Value::Null);
        assert!(payload.get("sequence").is_none());
    }

    #[test]
    fn a_completed_notification_takes_from_the_result_what_it_lacks() {
        let result = AnalysisResult {
            overall_health_score: Some(55),
            primary_concern: Some("Rust".to_owned()),
            ..AnalysisResult::default()
        };
        let sent = json!({"analysisId": 7, "status": "Completed", "primaryConcern": "Leaf rust"});
        let read = read(
            None,
            &UserId::from(42),
            sent,
            Some(&result),
            Reading::Strict,
        );
        let payload = payload(read);
        assert_eq!(payload["overallHealthScore"], 55);
        assert_eq!(payload["primaryConcern"], "Leaf rust");
    }

    #[test]
    fn every_wrong_field_is_named() {
        use NotifyType::{Completed, Failed, Progress};
        for (kind, sent, field) in [
            (None, json!({"analysisId": 7}), "type"),
            (None, json!({"status": "Done"}), "notification.status"),
            (
                Some(Failed),
                json!({"status": "Completed"}),
                "notification.status",
            ),
            (Some(Completed), json!([]), "notification"),
            (Some(Completed), json!({}), "notification.analysisId"),
            (
                Some(Completed),
                json!({"analysisId": "7"}),
                "notification.analysisId",
            ),
            (
                Some(Completed),
                json!({"analysisId": 0}),
                "notification.analysisId",
            ),
            (
                Some(Completed),
                json!({"analysisId": 1.5}),
                "notification.analysisId",
            ),
            (
                Some(Completed),
                json!({"analysisId": 9223372036854775808u64}),
                "notification.analysisId",
            ),
            (
                Some(Completed),
                json!({"analysisId": 7, "userId": "a\u{0}"}),
                "notification.userId",
            ),
            (
                Some(Completed),
                json!({"analysisId": 7, "userId": 43}),
                "notification.userId",
            ),
            (
                Some(Completed),
                json!({"analysisId": 7, "completedAt": "yesterday"}),
                "notification.completedAt",
            ),
            (
                Some(Completed),
                json!({"analysisId": 7, "overallHealthScore": 101}),
                "notification.overallHealthScore",
            ),
            (
                Some(Completed),
                json!({"analysisId": 7, "overallHealthScore": "90"}),
                "notification.overallHealthScore",
            ),
            (
                Some(Completed),
                json!({"analysisId": 7, "cropType": 1}),
                "notification.cropType",
            ),
            (
                Some(Completed),
                json!({"analysisId": 7, "imageUrl": "javascript:alert(1)"}),
                "notification.imageUrl",
            ),
            (
                Some(Completed),
                json!({"analysisId": 7, "deepLink": "a b"}),
                "notification.deepLink",
            ),
            (
                Some(Completed),
                json!({"analysisId": 7, "x": "a\u{0}"}),
                "notification",
            ),
            (
                Some(Failed),
                json!({"analysisId": 7}),
                "notification.errorMessage",
            ),
            (
                Some(Failed),
                json!({"analysisId": 7, "errorMessage": " "}),
                "notification.errorMessage",
            ),
            (
                Some(Progress),
                json!({"analysisId": 7}),
                "notification.percent",
            ),
            (
                Some(Progress),
                json!({"analysisId": 7, "percent": 101}),
                "notification.percent",
            ),
            (
                Some(Progress),
                json!({"analysisId": 7, "percent": 5, "stage": "x".repeat(65)}),
                "notification.stage",
            ),
        ] {
            let error = read_strictly(kind, sent.clone()).unwrap_err();
            assert_eq!(error.problem().errors[0].field, field, "{sent}");
        }
    }

    #[test]
    fn the_deployed_contract_is_read_leniently() {
        let sent = json!({"analysisId": " 7 ", "completedAt": null});
        let read = read(
            Some(NotifyType::Failed),
            &UserId::from(42),
            sent,
            None,
            Reading::Deployed,
        );
        let payload = payload(read);
        assert_eq!(payload["analysisId"], 7);
        assert_eq!(payload["errorMessage"], "The analysis failed.");
    }
}
