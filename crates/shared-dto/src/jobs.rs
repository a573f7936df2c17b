//! The internal link between hub and worker: leases, heartbeats, retries.
//!
//! A worker takes jobs with `POST /internal/jobs/lease`, keeps each alive with
//! `/heartbeat`, and ends it by posting the outcome to `/internal/notify` with
//! the attempt's token. `/retry` gives an attempt back.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{UserId, analysis::Progress};

/// The header that carries the attempt's token on `PUT /internal/analyses/{id}/overlay`,
/// whose body is the picture itself.
pub const ATTEMPT_TOKEN_HEADER: &str = "x-attempt-token";

/// The body of `POST /internal/jobs/lease`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeaseRequest {
    /// Names this worker process in logs and timelines; random at its start.
    pub worker_id: String,
    /// At most this many jobs; 1 to 100.
    pub max_jobs: u32,
    /// Waits up to this long for a first job; 0 to 30.
    pub wait_seconds: u32,
}

/// Its answer; `jobs` is empty when none came in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeaseResponse {
    /// The jobs that now belong to this worker.
    pub jobs: Vec<LeasedJob>,
}

/// One job, leased to one worker until `lease_seconds` after the last heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeasedJob {
    /// The job.
    pub job_id: i64,
    /// The fencing token of this attempt: new for each lease.
    pub token: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The last attempt that there will be.
    pub max_attempts: u32,
    /// How long the lease lives without a heartbeat.
    pub lease_seconds: u32,
    /// The analysis to make.
    pub analysis_id: i64,
    /// Its owner.
    pub user_id: UserId,
    /// What grows there, in the uploader's words.
    pub crop_type: Option<String>,
    /// The uploader's notes.
    pub notes: Option<String>,
    /// The photo, where it was uploaded: a path below the hub's internal address.
    pub image_path: Option<String>,
    /// The photo, where the uploader gave an address instead. The worker fetches it.
    pub image_url: Option<String>,
    /// The path that the hub keeps for the photo, to be put into notifications unsigned.
    pub image_link: Option<String>,
    /// Constant for the job over all its attempts; given on to n8n.
    pub idempotency_key: String,
    /// Where an outside analyser may tell progress of this attempt (signed, absolute).
    pub progress_url: String,
    /// Where an outside analyser may post its answer for this job (signed, absolute).
    pub result_url: String,
    /// The answer that an outside analyser posted to `result_url`: nothing is
    /// left but to map it and post the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<OutsideReply>,
    /// The W3C `traceparent` of the upload, for the attempt to be a part of its trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
}

/// What an outside analyser posted to an attempt's `result_url`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutsideReply {
    /// The body, as it came (at most 1 MiB, valid UTF-8).
    pub body: String,
}

/// The body of `POST /internal/jobs/{id}/heartbeat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatRequest {
    /// The attempt's token.
    pub token: String,
    /// Kept on the job and shown to the user, without a log entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The attempt waits for an outside answer at `result_url` for this long
    /// and needs no further heartbeat: the worker's slot is free again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub park_seconds: Option<u32>,
}

/// Its answer. A token that is no longer the lease's gets 409 instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatResponse {
    /// How long the lease lives from now without another heartbeat.
    pub lease_seconds: u32,
}

/// The body of `POST /internal/jobs/{id}/retry`: the attempt did not end the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryRequest {
    /// The attempt's token.
    pub token: String,
    /// What went wrong, for the operator (at most 1 KiB is kept).
    pub error: String,
    /// What the user is told should this have been the last attempt.
    pub user_message: String,
    /// Wait at least this long before the next attempt; the hub's own
    /// back-off (2^attempt seconds) counts where it is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
    /// The attempt was handed back unused (shutdown): it is not counted.
    #[serde(default)]
    pub hand_back: bool,
}

/// What becomes of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RetryOutcome {
    /// It will be leased again.
    Scheduled,
    /// That was the last attempt: the analysis is Failed and its owner was told.
    Exhausted,
}

/// The answer to [`RetryRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryResponse {
    /// What becomes of the job.
    pub outcome: RetryOutcome,
    /// When it will be leased again, from now.
    pub retry_in_seconds: Option<u32>,
}
