//! `POST /internal/jobs/lease`: gives jobs to a worker, waiting for a first one.

use std::time::Duration;

use axum::{Json, extract::State};
use shared_dto::{
    jobs::{LeaseRequest, LeaseResponse, LeasedJob, OutsideReply},
    problem::Problem,
};
use tokio::time::{Instant, timeout_at};

use super::{checks::Faults, guard::Internal};
use crate::{
    config::LONGEST_LEASE_WAIT,
    http::{ApiError, AppState, json::ApiJson},
    jobs::ReadyJobs,
    links::Callback,
    metrics::AttemptOutcome,
    store::{Lease, Photo, StoreError, image_path},
};

const LONGEST_WORKER_ID: usize = 128;
const MOST_JOBS: u32 = 100;
const RETRY_AFTER_SECONDS: u32 = 5;

/// Lease jobs
///
/// Waits up to `waitSeconds` for a first job. A lease lives as long as
/// heartbeats come.
#[utoipa::path(
    post,
    path = "/internal/jobs/lease",
    tag = "internal",
    security(("internalSecret" = [])),
    request_body = LeaseRequest,
    responses(
        (status = 200, body = LeaseResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn lease_jobs(
    _: Internal,
    State(state): State<AppState>,
    ApiJson(request): ApiJson<LeaseRequest>,
) -> Result<Json<LeaseResponse>, ApiError> {
    check(&request)?;
    let _place = state
        .waiting_leases
        .try_acquire()
        .map_err(|_| ApiError::unavailable(RETRY_AFTER_SECONDS))?;
    let asking = state
        .operations
        .workers
        .ask(&request.worker_id, Instant::now());
    let leases = wait(&state, &request).await?;
    drop(asking);
    let figures = state.metrics.notifications();
    figures.attempts(AttemptOutcome::Begun, leases.len());
    let jobs = leases
        .into_iter()
        .map(|lease| leased_job(&state, lease))
        .collect();
    Ok(Json(LeaseResponse { jobs }))
}

fn check(request: &LeaseRequest) -> Result<(), ApiError> {
    let mut faults = Faults::default();
    worker_id(&request.worker_id, &mut faults);
    let good = (1..=MOST_JOBS).contains(&request.max_jobs);
    faults.check(good, "maxJobs", "it is outside its range", "1 to 100");
    faults.check(
        request.wait_seconds <= LONGEST_LEASE_WAIT,
        "waitSeconds",
        "it is too long",
        "0 to 30",
    );
    faults.into_result()
}

pub(super) fn worker_id(id: &str, faults: &mut Faults) {
    let plain = id.bytes().all(|byte| byte.is_ascii_graphic());
    let good = plain && (1..=LONGEST_WORKER_ID).contains(&id.len());
    let accepted = "1 to 128 visible ASCII characters";
    faults.check(good, "workerId", "it is no name", accepted);
}

async fn wait(state: &AppState, request: &LeaseRequest) -> Result<Vec<Lease>, StoreError> {
    let lease = state.config.jobs.lease;
    let until = Instant::now() + Duration::from_secs(request.wait_seconds.into());
    // At first it was not woken, and does not know whether there is a job.
    let mut wake_up = WakeUp {
        ready_jobs: &state.ready_jobs,
        is_owed: false,
    };
    loop {
        let found = state
            .store
            .lease_jobs(&request.worker_id, request.max_jobs, lease)
            .await;
        wake_up.is_owed = !matches!(&found, Ok(jobs) if jobs.is_empty());
        if wake_up.is_owed {
            return found;
        }
        // A hub that leaves lets its workers ask another one.
        tokio::select! {
            woken = timeout_at(until, state.ready_jobs.woken()) => {
                if woken.is_err() {
                    return Ok(Vec::new());
                }
                wake_up.is_owed = true;
            }
            () = state.shutdown.draining().cancelled() => return Ok(Vec::new()),
        }
    }
}

/// What woke a worker is for another one as well, until there is nothing
/// left. It is passed on when this is dropped: also by a worker that went away
/// before it could look.
struct WakeUp<'a> {
    ready_jobs: &'a ReadyJobs,
    is_owed: bool,
}

impl Drop for WakeUp<'_> {
    fn drop(&mut self) {
        if self.is_owed {
            self.ready_jobs.wake_one();
        }
    }
}

pub(super) fn leased_job(state: &AppState, lease: Lease) -> LeasedJob {
    let callback = |kind| {
        state
            .links
            .callback(kind, lease.job_id, lease.attempt, lease.deadline)
    };
    let (progress_url, result_url) = (callback(Callback::Progress), callback(Callback::Result));
    let (image_path, image_url, image_link) = match lease.photo {
        Photo::Stored { .. } => (
            Some(format!("/internal/analyses/{}/image", lease.analysis_id)),
            None,
            Some(image_path(lease.analysis_id)),
        ),
        Photo::Remote { url } => (None, Some(url.clone()), Some(url)),
    };
    LeasedJob {
        job_id: lease.job_id,
        token: lease.token,
        attempt: lease.attempt,
        max_attempts: lease.max_attempts,
        lease_seconds: seconds(state.config.jobs.lease),
        analysis_id: lease.analysis_id,
        user_id: lease.user,
        crop_type: lease.crop_type,
        notes: lease.notes,
        image_path,
        image_url,
        image_link,
        idempotency_key: lease.idempotency_key,
        progress_url,
        result_url,
        reply: lease.reply.map(|body| OutsideReply { body }),
        trace_parent: lease.trace_context,
    }
}

/// Whole seconds, rounded down: a worker that counts them is never too late.
pub(super) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
