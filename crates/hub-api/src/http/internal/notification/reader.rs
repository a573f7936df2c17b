//! Reads the members of a notification one by one: what is wrong is collected,
//! what is missing is filled in, what is unknown is kept.

use serde_json::{Map, Value, json};
use shared_dto::{
    UserId,
    analysis::{AnalysisResult, AnalysisStatus, Progress},
    notification::deep_link,
};
use time::{
    OffsetDateTime, PrimitiveDateTime,
    format_description::well_known::{Iso8601, Rfc3339},
};

use super::{
    super::checks::{self, Faults},
    Ended, Notice, Reading, progress_of,
};

const LONGEST_TEXT: usize = 4096;
const LONGEST_ADDRESS: usize = 2048;

pub(super) struct Reader {
    pub(super) members: Map<String, Value>,
    pub(super) faults: Faults,
    pub(super) reading: Reading,
}

impl Reader {
    pub(super) fn completed(&mut self, user: &UserId, result: Option<&AnalysisResult>) -> Notice {
        self.spell_time("completedAt");
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

    pub(super) fn failed(&mut self, user: &UserId) -> Notice {
        self.spell_time("timestamp");
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

    pub(super) fn progress(&mut self, user: &UserId) -> Notice {
        let analysis_id = self.analysis_id();
        let timestamp = self.time("timestamp");
        let percent = self.members.get("percent").and_then(Value::as_u64);
        let percent = percent.and_then(|percent| u8::try_from(percent).ok());
        self.faults.check(
            percent.is_some(),
            "notification.percent",
            "it is no number",
            "0 to 100",
        );
        let (stage, message) = (self.said("stage"), self.said("message"));
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
        self.members
            .insert("analysisId".to_owned(), json!(analysis_id));
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
        good.unwrap_or(1)
    }

    /// Takes a text out, of any length; none where it is missing.
    fn said(&mut self, name: &str) -> String {
        match self.members.remove(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(_) => {
                self.wrong(name, "it is no text", "text");
                String::new()
            }
        }
    }

    /// A text, or `fallback` where it is missing.
    fn text(&mut self, name: &str, fallback: Option<Value>) {
        let given = self.members.get(name).filter(|given| !given.is_null());
        match given {
            None => {
                self.members
                    .insert(name.to_owned(), fallback.unwrap_or_default());
            }
            Some(Value::String(text)) if checks::is_within(text, LONGEST_TEXT) => {}
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
        match given.map(|given| given.as_str().and_then(parse_time)) {
            None => OffsetDateTime::now_utc(),
            Some(Some(time)) => time,
            Some(None) => {
                self.wrong(name, "it is no date", "RFC 3339, e.g. 2026-01-31T12:00:00Z");
                OffsetDateTime::now_utc()
            }
        }
    }

    /// Writes a date as clients parse it, who know one spelling.
    fn spell_time(&mut self, name: &str) {
        let text = self.time(name).format(&Rfc3339).unwrap_or_default();
        self.members.insert(name.to_owned(), Value::String(text));
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
