//! `POST /callbacks/jobs/{id}/progress`: an outside analyser tells how far it is.

use axum::{
    extract::{FromRequest as _, Request, State},
    http::StatusCode,
};
use shared_dto::{analysis::Progress, problem::Problem};

use super::attempt;
use crate::{
    http::{
        ApiError, AppState,
        internal::{checks, notification::progress_of, notify::stale},
        json::ApiJson,
        params::{Id, Query},
    },
    links::Callback,
    store::Beat,
};

/// Tell progress of an attempt
///
/// At the `progressUrl` that the analyser was given.
#[utoipa::path(
    post,
    path = "/callbacks/jobs/{id}/progress",
    tag = "callbacks",
    params(
        ("id" = i64, Path, minimum = 1),
        ("attempt" = u32, Query), ("exp" = i64, Query), ("sig" = String, Query),
    ),
    request_body = Progress,
    responses(
        (status = 204, description = "It was told"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Another attempt is under way, or the job has ended"),
    )
)]
pub(crate) async fn callback_progress(
    Id(job_id): Id,
    query: Query,
    State(state): State<AppState>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let attempt = attempt(&state, Callback::Progress, job_id, &query)?;
    let ApiJson(progress) = ApiJson::<Progress>::from_request(request, &state).await?;
    let mut faults = checks::Faults::default();
    checks::progress(&progress, "", &mut faults);
    faults.into_result()?;
    match state
        .store
        .outside_progress(job_id, attempt, progress.clone())
        .await?
    {
        Beat::Alive(alive) => {
            let now = state.store.clock().now().to_datetime();
            let dto = progress_of(alive.analysis_id, &alive.user, &progress, now);
            let connections = state.delivery.progress(&dto);
            tracing::debug!(
                analysis.id = alive.analysis_id,
                connections,
                "progress told"
            );
            Ok(StatusCode::NO_CONTENT)
        }
        Beat::Stale | Beat::NotOwner => Err(stale()),
        Beat::Unknown => Err(ApiError::not_found("job")),
    }
}
