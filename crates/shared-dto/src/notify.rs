//! `POST /internal/notify` and the deployed contract beside it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{UserId, analysis::AnalysisResult};

/// The header that carries the shared secret on every internal call.
pub const INTERNAL_SECRET_HEADER: &str = "x-internal-secret";

/// What kind of analysis notification this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum NotifyType {
    /// The analysis ended with a result.
    #[serde(rename = "analysis.completed")]
    Completed,
    /// The analysis ended without one.
    #[serde(rename = "analysis.failed")]
    Failed,
    /// The analysis is under way.
    #[serde(rename = "analysis.progress")]
    Progress,
}

/// The attempt that a result belongs to. A result whose token is no longer
/// that of the job's lease is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The job.
    pub job_id: i64,
    /// The fencing token of the lease.
    pub token: String,
}

/// The body of `POST /internal/notify`: about an analysis (`notification`), or
/// of any other kind of job (`event` and `payload`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotifyRequest {
    /// Inferred from `notification.status` where it is missing.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<NotifyType>,
    /// Who is told.
    pub user_id: UserId,
    /// The DTO of the event, see [`crate::notification`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub notification: Option<Value>,
    /// The result to store, with `attempt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<AnalysisResult>,
    /// The attempt that this is the outcome or the progress of. Without it the
    /// call is a plain notification, also for an analysis that the hub does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// A hub event of another kind of job, e.g. `ReportReady`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Its argument.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub payload: Option<Value>,
}

/// The answer: 202 for a new one, 200 for one seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotifyAccepted {
    /// The log entry; absent for progress, which is not logged.
    pub notification_id: Option<i64>,
    /// Its sequence in the user's log; absent for progress.
    pub sequence: Option<i64>,
    /// Connections of the user on this hub that it was handed to.
    pub connections: usize,
}

/// The body of `POST /api/internal/signalr/analysis-completed` and `/analysis-failed`.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeployedNotifyRequest {
    /// The shared secret, in the body in this contract.
    pub internal_secret: String,
    /// Who is told.
    pub user_id: UserId,
    /// The DTO; `analysisId` may be a numeric string.
    #[schema(value_type = Object)]
    pub notification: Value,
}

/// The secret stays out of every log.
impl std::fmt::Debug for DeployedNotifyRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeployedNotifyRequest")
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}
