//! `POST /internal/jobs/{id}/heartbeat`: a sign of life of an attempt.

use std::time::Duration;

use axum::{Json, extract::State};
use shared_dto::{
    jobs::{HeartbeatRequest, HeartbeatResponse},
    problem::Problem,
};

use super::{
    checks::{self, Faults},
    guard::Internal,
    lease::seconds,
    notification::progress_of,
    notify::stale,
};
use crate::{
    http::{ApiError, AppState, json::ApiJson, params::Id},
    store::{Beat, Heartbeat},
};

const LONGEST_PARKING: u32 = 24 * 60 * 60;

/// Keep a lease
///
/// With `progress`: it is kept on the job and shown to the user. With
/// `parkSeconds`: the attempt waits for an outside answer instead.
#[utoipa::path(
    post,
    path = "/internal/jobs/{id}/heartbeat",
    tag = "internal",
    security(("internalSecret" = [])),
    params(("id" = i64, Path, minimum = 1)),
    request_body = HeartbeatRequest,
    responses(
        (status = 200, body = HeartbeatResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The token is no longer the lease's"),
    )
)]
pub(crate) async fn heartbeat(
    _: Internal,
    Id(job_id): Id,
    State(state): State<AppState>,
    ApiJson(request): ApiJson<HeartbeatRequest>,
) -> Result<Json<HeartbeatResponse>, ApiError> {
    check(&request)?;
    let beat = Heartbeat {
        job_id,
        token: request.token,
        lease: state.config.jobs.lease,
        progress: request.progress.clone(),
        park: request
            .park_seconds
            .map(|seconds| Duration::from_secs(seconds.into())),
        owner: None,
    };
    let alive = match state.store.heartbeat(beat).await? {
        Beat::Alive(alive) => alive,
        // No owner was asked for.
        Beat::Stale | Beat::NotOwner => return Err(stale()),
        Beat::Unknown => return Err(ApiError::not_found("job")),
    };
    let now = state.store.clock().now();
    if let Some(progress) = &request.progress {
        let dto = progress_of(alive.analysis_id, &alive.user, progress, now.to_datetime());
        let connections = state.delivery.progress(&dto);
        tracing::debug!(
            analysis.id = alive.analysis_id,
            connections,
            "progress told"
        );
    }
    Ok(Json(HeartbeatResponse {
        lease_seconds: seconds(alive.lease_until.since(now)),
    }))
}

fn check(request: &HeartbeatRequest) -> Result<(), ApiError> {
    let mut faults = Faults::default();
    checks::token(&request.token, "token", &mut faults);
    if let Some(progress) = &request.progress {
        checks::progress(progress, "progress.", &mut faults);
    }
    let good = request
        .park_seconds
        .is_none_or(|seconds| (1..=LONGEST_PARKING).contains(&seconds));
    faults.check(good, "parkSeconds", "it is outside its range", "1 to 86400");
    faults.into_result()
}
