//! Reads the DTO of an analysis notification: every field that has a meaning
//! is checked, members that only a newer sender knows are kept.

use serde_json::{Map, Value, json};
use shared_dto::{
    UserId,
    analysis::{AnalysisResult, AnalysisStatus, Progress},
    notification::{AnalysisProgress, deep_link},
    notify::NotifyType,
};
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::well_known::Iso8601,
    format_description::well_known::Rfc3339,
};

use super::checks::{self, Faults};
use crate::http::{ApiError, problem::Kind};

const LONGEST_TEXT: usize = 4096;
const LONGEST_ADDRESS: usize = 2048;

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
    checks::payload(
        &Value::Object(reader.members.clone()),
        "notification",
        &mut reader.faults,
    );
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

struct Reader {
    members: Map<String, Value>,
    faults: Faults,
    reading: Reading,
}

impl Reader {
    fn completed(&mut self, user: &UserId, result: Option<&AnalysisResult>) -> Notice {
        self.time("completedAt");
        let of = |pick: fn(&AnalysisResult) -> Option<Value>| result.and_then(pick);
        self.text("cropType", of(|r| r.crop_type.clone().map(Value::from)));
        self.text(
            "primaryConcern",
            of(|r| r.primary_concern.clone().map(Value::from)),
        );
        self.score(of(|r| r.overall_health_score.map(Value::from)));
        self.ended(
            "ReceiveAnalysisCompleted",
            AnalysisStatus::Completed,
            user,
            None,
        )
    }

    fn failed(&mut self, user: &UserId) -> Notice {
        self.time("timestamp");
        self.text("cropType", None);
        let fallback = (self.reading == Reading::Deployed).then(|| json!("The analysis failed."));
        self.text("errorMessage", fallback);
        let message = self
            .members
            .get("errorMessage")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let said = message
            .as_deref()
            .is_some_and(|text| !text.trim().is_empty());
        self.faults.check(
            said,
            "notification.errorMessage",
            "it is missing",
            "words for the user",
        );
        self.ended(
            "ReceiveAnalysisFailed",
            AnalysisStatus::Failed,
            user,
            message,
        )
    }

    fn progress(&mut self, user: &UserId) -> Notice {
        let analysis_id = self.analysis_id();
        let timestamp = self.time("timestamp");
        let percent = self.members.get("percent").cloned().unwrap_or_default();
        let percent = percent
            .as_u64()
            .and_then(|percent| u8::try_from(percent).ok());
        self.faults.check(
            percent.is_some(),
            "notification.percent",
            "it is no number",
            "0 to 100",
        );
        let mut said = |name: &str| {
            self.text(name, Some(json!("")));
            self.members
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (stage, message) = (said("stage"), said("message"));
        let progress = Progress {
            percent: percent.unwrap_or(0),
            stage,
            message,
        };
        checks::progress(&progress, "notification.", &mut self.faults);
        Notice::Progress(progress_of(analysis_id, user, &progress, timestamp))
    }

    fn ended(
        &mut self,
        event: &'static str,
        status: AnalysisStatus,
        user: &UserId,
        error_message: Option<String>,
    ) -> Notice {
        let analysis_id = self.analysis_id();
        self.address("imageUrl", None);
        self.address("deepLink", Some(deep_link(analysis_id)));
        // These two are the hub's to give.
        self.members.remove("notificationId");
        self.members.remove("sequence");
        self.members.insert("userId".to_owned(), json!(user));
        self.members.insert("status".to_owned(), json!(status));
        let payload = Value::Object(std::mem::take(&mut self.members));
        Notice::Terminal(Ended {
            event,
            analysis_id,
            payload,
            error_message,
        })
    }

    fn analysis_id(&mut self) -> i64 {
        let given = self.members.get("analysisId");
        let number = given.and_then(Value::as_i64).or_else(|| {
            let text = given
                .and_then(Value::as_str)
                .filter(|_| self.reading == Reading::Deployed)?;
            text.trim().parse().ok()
        });
        let good = number.filter(|number| *number >= 1);
        let accepted = "an integer from 1 on";
        self.faults.check(
            good.is_some(),
            "notification.analysisId",
            "it is no id",
            accepted,
        );
        let id = good.unwrap_or(1);
        self.members.insert("analysisId".to_owned(), json!(id));
        id
    }

    /// A text, or `fallback` where it is missing.
    fn text(&mut self, name: &str, fallback: Option<Value>) {
        let given = self.members.get(name).filter(|given| !given.is_null());
        match given {
            None => {
                self.members
                    .insert(name.to_owned(), fallback.unwrap_or_default());
            }
            Some(Value::String(text)) if text.chars().count() <= LONGEST_TEXT => {}
            Some(_) => self.wrong(
                name,
                "it is no text, or too long",
                "text of at most 4096 characters",
            ),
        }
    }

    fn score(&mut self, fallback: Option<Value>) {
        const NAME: &str = "overallHealthScore";
        match self.members.get(NAME).filter(|given| !given.is_null()) {
            None => {
                self.members
                    .insert(NAME.to_owned(), fallback.unwrap_or_default());
            }
            Some(given) if given.as_u64().is_some_and(|score| score <= 100) => {}
            Some(_) => self.wrong(NAME, "it is no score", "an integer from 0 to 100"),
        }
    }

    /// An address that a client will open: of the web, of the app, or one of
    /// the hub's own pictures.
    fn address(&mut self, name: &str, fallback: Option<String>) {
        let accepted = "an https address, a path of the hub, or null";
        match self.members.get(name).filter(|given| !given.is_null()) {
            None => {
                self.members.insert(name.to_owned(), json!(fallback));
            }
            Some(Value::String(text)) if text.len() <= LONGEST_ADDRESS => {
                let safe = match text.split_once(':') {
                    Some((scheme, _)) => !matches!(
                        scheme.to_ascii_lowercase().as_str(),
                        "javascript" | "data" | "vbscript" | "file"
                    ),
                    None => true,
                };
                let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
                if !safe || !plain {
                    self.wrong(name, "it is no address that a client may open", accepted);
                }
            }
            Some(_) => self.wrong(name, "it is no address", accepted),
        }
    }

    /// A date, or now where it is missing. .NET writes dates of unknown kind
    /// without an offset; those are UTC.
    fn time(&mut self, name: &str) -> OffsetDateTime {
        let given = self.members.get(name).filter(|given| !given.is_null());
        let time = match given.map(|given| given.as_str().and_then(parse_time)) {
            None => OffsetDateTime::now_utc(),
            Some(Some(time)) => time,
            Some(None) => {
                self.wrong(name, "it is no date", "RFC 3339, e.g. 2026-01-31T12:00:00Z");
                return OffsetDateTime::now_utc();
            }
        };
        // Clients parse one spelling.
        let text = time.format(&Rfc3339).unwrap_or_default();
        self.members.insert(name.to_owned(), Value::String(text));
        time
    }

    fn wrong(&mut self, name: &str, detail: &str, accepted: &str) {
        self.faults
            .add(&format!("notification.{name}"), detail, accepted);
    }
}

fn parse_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| {
        let plain = PrimitiveDateTime::parse(text, &Iso8601::PARSING).ok()?;
        Some(plain.assume_utc())
    })
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
