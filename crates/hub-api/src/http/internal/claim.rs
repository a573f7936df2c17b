//! `POST /internal/jobs/{id}/claim`: the worker to which the broker brought a
//! job takes it. The jobs table decides whether it may.

use axum::{Json, extract::State};
use shared_dto::{
    problem::Problem,
    queue::{ClaimOutcome, ClaimRequest, ClaimResponse},
};
use tokio::time::Instant;

use super::{
    checks::{self, Faults},
    guard::Internal,
    lease::{leased_job, worker_id},
};
use crate::{
    http::{ApiError, AppState, json::ApiJson, params::Id},
    metrics::AttemptOutcome,
    store::{Claim, Claimed},
};

const SHORTEST_TOKEN: usize = 32;

/// Claim a job
///
/// For the worker to which the broker brought it. The worker chooses the
/// attempt's token; a claim that is repeated with its token gets the same lease.
#[utoipa::path(
    post,
    path = "/internal/jobs/{id}/claim",
    tag = "internal",
    security(("internalSecret" = [])),
    params(("id" = i64, Path, minimum = 1)),
    request_body = ClaimRequest,
    responses(
        (status = 200, body = ClaimResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn claim_job(
    _: Internal,
    Id(job_id): Id,
    State(state): State<AppState>,
    ApiJson(request): ApiJson<ClaimRequest>,
) -> Result<Json<ClaimResponse>, ApiError> {
    let mut faults = Faults::default();
    worker_id(&request.worker_id, &mut faults);
    checks::token(&request.token, "token", &mut faults);
    // The token fences this attempt off from all others: it must not be guessed.
    let long = request.token.len() >= SHORTEST_TOKEN;
    faults.check(long, "token", "it is too short", "32 random characters");
    faults.into_result()?;
    state
        .operations
        .workers
        .claim(&request.worker_id, Instant::now());
    let claim = Claim {
        job_id,
        worker: request.worker_id,
        token: request.token,
        lease: state.config.jobs.lease,
    };
    let (outcome, job) = match state.store.claim_job(claim).await? {
        Claimed::Leased(lease) => {
            let figures = state.metrics.notifications();
            figures.attempts(AttemptOutcome::Begun, 1);
            (ClaimOutcome::Claimed, Some(leased_job(&state, *lease)))
        }
        Claimed::Repeated(lease) => (ClaimOutcome::Claimed, Some(leased_job(&state, *lease))),
        Claimed::Held => (ClaimOutcome::Held, None),
        Claimed::NotReady => (ClaimOutcome::NotReady, None),
        Claimed::Ended => (ClaimOutcome::Ended, None),
        Claimed::Unknown => (ClaimOutcome::Unknown, None),
    };
    Ok(Json(ClaimResponse { outcome, job }))
}
