//! Tells the hub what an attempt came to, until the hub has it.
//!
//! The only place that acts on an [`Outcome`]. The body of a result is made
//! once and posted under one idempotency key, so that a repeated post is the
//! same post. A result that the hub refuses for good is given back as a failed
//! attempt; a token that is no longer the lease's is dropped quietly.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use shared_dto::{
    analysis::{AnalysisResult, AnalysisStatus, Progress},
    jobs::{HeartbeatRequest, LeasedJob, RetryRequest},
    notification::{AnalysisCompleted, AnalysisFailed, deep_link},
    notify::{Attempt, NotifyRequest, NotifyType},
};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::outcome::{Failure, Outcome, TRY_AGAIN};
use crate::hub::{Hub, HubError, Unsettled, until_settled};

/// The hub keeps this much of an error, in bytes.
const LONGEST_ERROR: usize = 1_024;

/// How long a leaving worker tries to get rid of what it holds.
const FAREWELL: Duration = Duration::from_secs(3);

/// A job that this worker still has, and where.
pub(super) struct Held<'a> {
    pub(super) hub: &'a Hub,
    pub(super) job: &'a LeasedJob,
    /// The latest step that was told.
    pub(super) progress: Option<Progress>,
}

/// Reports `outcome`; returns when the hub has it, when the job is `lost`, or
/// some seconds after `hard`, and then false.
pub(super) async fn report(
    held: &Held<'_>,
    outcome: Outcome,
    lost: &CancellationToken,
    hard: &CancellationToken,
) -> bool {
    // Ends when the attempt has lost its job, or when the worker must leave.
    let stop = lost.child_token();
    let told = tell(held, outcome, &stop);
    tokio::pin!(told);
    let settled = tokio::select! {
        settled = &mut told => settled,
        () = hard.cancelled() => match tokio::time::timeout(FAREWELL, told).await {
            Ok(settled) => settled,
            Err(_) => Err(Unsettled::Stopped),
        },
    };
    match settled {
        Ok(()) => {}
        Err(Unsettled::Stopped) if lost.is_cancelled() => {
            tracing::info!("the outcome was dropped: the job belongs to another attempt");
        }
        Err(Unsettled::Stopped) => {
            tracing::warn!(
                "the worker leaves before the hub had the outcome: the lease will expire"
            );
            return false;
        }
        Err(Unsettled::Final(error)) if error.is_lost() => {
            tracing::info!(%error, "the outcome was dropped");
        }
        Err(Unsettled::Final(error)) => {
            tracing::error!(%error, "the hub refuses the outcome for good");
        }
    }
    true
}

async fn tell(
    held: &Held<'_>,
    outcome: Outcome,
    stop: &CancellationToken,
) -> Result<(), Unsettled> {
    let (hub, job) = (held.hub, held.job);
    match outcome {
        Outcome::Done(result) => {
            post(hub, job, completed(job, *result), stop).await?;
            tracing::info!("analysis completed");
        }
        Outcome::Reject(failure) => {
            tracing::warn!(error = failure.error, "analysis failed for good");
            post(hub, job, failed(job, &failure), stop).await?;
        }
        Outcome::Retry(failure, after) => {
            tracing::warn!(error = failure.error, ?after, "attempt failed");
            give_back(hub, job, &failure, after, false, stop).await?;
        }
        Outcome::HandBack => {
            let failure = Failure::new("the worker is leaving", TRY_AGAIN);
            give_back(hub, job, &failure, None, true, stop).await?;
        }
        Outcome::Park(time) => park(held, time, stop).await?,
        Outcome::Lost => tracing::info!("attempt abandoned"),
    }
    Ok(())
}

/// Posts an outcome; one that the hub refuses for its content becomes a failed attempt.
async fn post(
    hub: &Hub,
    job: &LeasedJob,
    request: NotifyRequest,
    stop: &CancellationToken,
) -> Result<(), Unsettled> {
    let body = serde_json::to_vec(&request).expect("a notification has only text keys");
    let body = Bytes::from(body);
    let key = format!("attempt-{}-{}", job.job_id, job.token);
    match until_settled("posting the outcome", stop, || {
        hub.notify(&key, body.clone())
    })
    .await
    {
        Err(Unsettled::Final(error @ HubError::Refused { .. })) if !error.is_lost() => {
            tracing::error!(%error, "the hub refuses the result");
            let failure = Failure::new(format!("result refused: {error}"), TRY_AGAIN);
            give_back(hub, job, &failure, None, false, stop).await
        }
        settled => settled,
    }
}

async fn give_back(
    hub: &Hub,
    job: &LeasedJob,
    failure: &Failure,
    after: Option<Duration>,
    hand_back: bool,
    stop: &CancellationToken,
) -> Result<(), Unsettled> {
    let request = RetryRequest {
        token: job.token.clone(),
        error: shorten(&failure.error),
        user_message: failure.user_message.clone(),
        retry_after_seconds: after.map(|after| u32::try_from(after.as_secs()).unwrap_or(u32::MAX)),
        hand_back,
    };
    let answer = until_settled("giving the job back", stop, || {
        hub.retry(job.job_id, &request)
    })
    .await?;
    tracing::info!(hand_back, outcome = ?answer.outcome, retry_in = answer.retry_in_seconds, "job given back");
    Ok(())
}

/// The last progress goes along: nobody else tells any until the outside analyser does.
async fn park(held: &Held<'_>, time: Duration, stop: &CancellationToken) -> Result<(), Unsettled> {
    let request = HeartbeatRequest {
        token: held.job.token.clone(),
        progress: held.progress.clone(),
        park_seconds: Some(u32::try_from(time.as_secs()).unwrap_or(u32::MAX)),
    };
    let beat = || held.hub.heartbeat(held.job.job_id, &request);
    until_settled("parking the job", stop, beat).await?;
    tracing::info!(?time, "job parked until its answer comes");
    Ok(())
}

fn completed(job: &LeasedJob, mut result: AnalysisResult) -> NotifyRequest {
    if result.crop_type.is_none() {
        result.crop_type.clone_from(&job.crop_type);
    }
    let notification = AnalysisCompleted {
        analysis_id: job.analysis_id,
        user_id: job.user_id.clone(),
        status: AnalysisStatus::Completed,
        completed_at: OffsetDateTime::now_utc(),
        crop_type: result.crop_type.clone(),
        primary_concern: result.primary_concern.clone(),
        overall_health_score: result.overall_health_score,
        image_url: image_link(job),
        deep_link: deep_link(job.analysis_id),
    };
    notify(
        job,
        NotifyType::Completed,
        to_value(&notification),
        Some(result),
    )
}

fn failed(job: &LeasedJob, failure: &Failure) -> NotifyRequest {
    let notification = AnalysisFailed {
        analysis_id: job.analysis_id,
        user_id: job.user_id.clone(),
        status: AnalysisStatus::Failed,
        error_message: failure.user_message.clone(),
        timestamp: OffsetDateTime::now_utc(),
        crop_type: job.crop_type.clone(),
        image_url: image_link(job),
        deep_link: deep_link(job.analysis_id),
    };
    notify(job, NotifyType::Failed, to_value(&notification), None)
}

fn notify(
    job: &LeasedJob,
    kind: NotifyType,
    notification: Value,
    result: Option<AnalysisResult>,
) -> NotifyRequest {
    NotifyRequest {
        kind: Some(kind),
        user_id: job.user_id.clone(),
        notification: Some(notification),
        result,
        attempt: Some(Attempt {
            job_id: job.job_id,
            token: job.token.clone(),
        }),
        event: None,
        payload: None,
    }
}

/// The photo as the notification names it: the hub's own path where it keeps
/// the photo, else the address that the uploader gave.
fn image_link(job: &LeasedJob) -> Option<String> {
    job.image_link.clone().or_else(|| job.image_url.clone())
}

fn to_value(notification: &impl serde::Serialize) -> Value {
    serde_json::to_value(notification).expect("a notification has only text keys")
}

fn shorten(error: &str) -> String {
    let mut end = error.len().min(LONGEST_ERROR);
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    error[..end].to_owned()
}
