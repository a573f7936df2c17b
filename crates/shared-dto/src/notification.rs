//! Notifications: the payloads of the hub's events, and the log as clients read it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{UserId, analysis::AnalysisStatus};

/// The deep link into the app for an analysis.
#[must_use]
pub fn deep_link(analysis_id: i64) -> String {
    format!("app://analysis/{analysis_id}")
}

/// What `ReceiveAnalysisCompleted` carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisCompleted {
    /// The analysis that ended.
    pub analysis_id: i64,
    /// Its owner.
    pub user_id: UserId,
    /// `Completed`.
    pub status: AnalysisStatus,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub completed_at: OffsetDateTime,
    /// What grows there.
    pub crop_type: Option<String>,
    /// The main finding in words.
    pub primary_concern: Option<String>,
    /// 0 to 100.
    pub overall_health_score: Option<u8>,
    /// The photo. The log keeps a path; it is signed when it is sent.
    pub image_url: Option<String>,
    /// `app://analysis/{id}`.
    pub deep_link: String,
}

/// What `ReceiveAnalysisFailed` carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisFailed {
    /// The analysis that failed.
    pub analysis_id: i64,
    /// Its owner.
    pub user_id: UserId,
    /// `Failed`.
    pub status: AnalysisStatus,
    /// Why, in words for the user.
    pub error_message: String,
    /// When it failed.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
    /// What grows there.
    pub crop_type: Option<String>,
    /// The photo.
    pub image_url: Option<String>,
    /// `app://analysis/{id}`.
    pub deep_link: String,
}

/// What `ReceiveAnalysisProgress` carries. It is never logged and has no sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisProgress {
    /// The analysis under way.
    pub analysis_id: i64,
    /// Its owner.
    pub user_id: UserId,
    /// `Processing`.
    pub status: AnalysisStatus,
    /// 0 to 100.
    pub percent: u8,
    /// A short machine-readable name of the step.
    pub stage: String,
    /// The step in words for the user.
    pub message: String,
    /// When it was told.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
}

/// One entry of a user's notification log, as REST gives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Unique over all users.
    pub notification_id: i64,
    /// Position in this user's log, from 1, without holes.
    pub sequence: i64,
    /// The hub event that carries it, e.g. `ReceiveAnalysisCompleted`.
    pub event: String,
    /// The event's argument, `notificationId` and `sequence` included where it is an object.
    #[schema(value_type = Object)]
    pub payload: serde_json::Value,
    /// When it was logged.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A page of the log, in order of the sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationPage {
    /// The log's epoch: it changes when the log was lost, and old sequences mean nothing then.
    pub epoch: String,
    /// At most `limit` entries with a sequence above `after`.
    pub items: Vec<Notification>,
    /// The sequence of the newest entry in the log, 0 when there is none.
    pub head: i64,
    /// False when entries after `after` are no longer kept.
    pub complete: bool,
}

/// `POST /api/v1/notifications/ack`: everything up to `sequence` was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcknowledgeRequest {
    /// The newest sequence that was seen.
    #[schema(minimum = 1)]
    pub sequence: i64,
}

/// The answer to an acknowledgement, and to `GET /api/v1/notifications/unread-count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnreadCount {
    /// Entries that nobody acknowledged.
    pub unread: i64,
    /// The newest acknowledged sequence, 0 when there is none.
    pub acknowledged: i64,
}

/// What the hub method `Resume(cursor)` returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resumed {
    /// The log's epoch, for the next cursor `"epoch:sequence"`.
    pub epoch: String,
    /// The first sequence that was replayed; `to + 1` when none was missing.
    pub from: i64,
    /// The newest sequence that the client now has.
    pub to: i64,
    /// False when the cursor is of another epoch or before what is kept, and
    /// nothing was replayed, or when retention overtook the replay: the
    /// client's own state must be loaded anew.
    pub complete: bool,
}
