//! What travels through the broker's queues, and what a worker asks the hub
//! because of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::jobs::LeasedJob;

/// A message of the request queue: a job is ready. It is a hint; the hub's
/// jobs table decides who gets the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobReady {
    /// The job, to be claimed at the hub.
    pub job_id: i64,
    /// Its analysis, for logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis_id: Option<i64>,
    /// Since when the job is ready, in milliseconds since the Unix epoch: tells
    /// one readiness of the job from the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<i64>,
}

/// A message of the result queue: an outside analyser's answer. Also the body
/// of `POST /internal/jobs/result`, by which a worker hands it to the hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutsideResult {
    /// The `resultUrl` that the analyser was given for this attempt, as it
    /// stands: its signature is what authorises the answer.
    pub result_url: String,
    /// The answer: the JSON that would be posted to `resultUrl`, or a text.
    #[schema(value_type = Object)]
    pub result: Value,
}

/// The body of `POST /internal/jobs/{id}/claim`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRequest {
    /// Names this worker process in logs and timelines; random at its start.
    pub worker_id: String,
    /// The attempt's token, random for each delivery. A claim whose answer was
    /// lost is repeated with it, and gets the same lease.
    pub token: String,
}

/// A token stays out of every log.
impl std::fmt::Debug for ClaimRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimRequest")
            .field("worker_id", &self.worker_id)
            .finish_non_exhaustive()
    }
}

/// What a claim came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClaimOutcome {
    /// The job is the worker's.
    Claimed,
    /// Another attempt is under way.
    Held,
    /// The job waits for its next attempt, and is announced again then.
    NotReady,
    /// The job has ended.
    Ended,
    /// There is no such job.
    Unknown,
}

/// The answer to [`ClaimRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimResponse {
    /// What the claim came to.
    pub outcome: ClaimOutcome,
    /// The job, where it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<LeasedJob>,
}
