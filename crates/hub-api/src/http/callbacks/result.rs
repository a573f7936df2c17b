//! `POST /callbacks/jobs/{id}/result`: an outside analyser posts its answer,
//! which is stored as it came; a worker maps it.

use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use shared_dto::problem::Problem;

use super::attempt;
use crate::{
    http::{
        ApiError, AppState,
        body::{self, Bounds},
        internal::notify::stale,
        params::{Id, Query},
        problem::Kind,
    },
    links::Callback,
    store::Replied,
};

/// Of an answer.
pub(in crate::http) const LONGEST_BODY: usize = 1024 * 1024;

/// Post the answer of an attempt
///
/// At the `resultUrl` that the analyser was given. The first answer of an
/// attempt counts; a repeated one is taken for the first.
#[utoipa::path(
    post,
    path = "/callbacks/jobs/{id}/result",
    tag = "callbacks",
    params(
        ("id" = i64, Path, minimum = 1),
        ("attempt" = u32, Query), ("exp" = i64, Query), ("sig" = String, Query),
    ),
    request_body(description = "The answer, at most 1 MiB of UTF-8", content((Object = "application/json"), (String = "text/plain"))),
    responses(
        (status = 202, description = "It was stored"),
        (status = 200, description = "There is an answer already, or the job has ended"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Another attempt is under way"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn callback_result(
    Id(job_id): Id,
    query: Query,
    State(state): State<AppState>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let attempt = attempt(&state, Callback::Result, job_id, &query)?;
    let (parts, body) = request.into_parts();
    let idle = state.config.server.body_idle_timeout;
    let bounds = Bounds {
        bytes: LONGEST_BODY,
        idle,
    };
    let bytes = body::read(&parts.headers, body, bounds).await?;
    let text = String::from_utf8(bytes.into()).unwrap_or_default();
    keep(&state, job_id, attempt, text).await
}

/// Stores an answer whose permission was checked.
pub(in crate::http) async fn keep(
    state: &AppState,
    job_id: i64,
    attempt: u32,
    text: String,
) -> Result<StatusCode, ApiError> {
    if text.contains('\0') || text.trim().is_empty() {
        return Err(ApiError::invalid(
            "body",
            "it is empty, not UTF-8, or holds U+0000",
            "the answer as UTF-8 text",
        ));
    }
    if text.len() > LONGEST_BODY {
        return Err(ApiError::new(
            Kind::TOO_LARGE,
            "The answer is longer than 1 MiB.",
        ));
    }
    match state.store.outside_reply(job_id, attempt, text).await? {
        Replied::Accepted => Ok(StatusCode::ACCEPTED),
        Replied::AlreadyEnded => Ok(StatusCode::OK),
        Replied::Stale => Err(stale()),
        Replied::Unknown => Err(ApiError::not_found("job")),
    }
}
