//! `POST /internal/jobs/{id}/retry`: an attempt is given back.

use std::time::Duration;

use axum::{Json, extract::State};
use shared_dto::{
    jobs::{RetryOutcome, RetryRequest, RetryResponse},
    problem::Problem,
};

use super::{
    checks::{self, Faults},
    guard::Internal,
    lease::seconds,
    notify::stale,
};
use crate::{
    http::{ApiError, AppState, json::ApiJson, params::Id},
    metrics::AttemptOutcome,
    store::{Retried, Retry},
};

const LONGEST_ERROR: usize = 1024;
const LONGEST_MESSAGE: usize = 500;
const LONGEST_WAIT: u32 = 60 * 60;

/// Give an attempt back
///
/// The job is tried again after 2^attempt seconds, or has Failed if this was
/// the last attempt.
#[utoipa::path(
    post,
    path = "/internal/jobs/{id}/retry",
    tag = "internal",
    security(("internalSecret" = [])),
    params(("id" = i64, Path, minimum = 1)),
    request_body = RetryRequest,
    responses(
        (status = 200, body = RetryResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The token is no longer the lease's"),
    )
)]
pub(crate) async fn retry_job(
    _: Internal,
    Id(job_id): Id,
    State(state): State<AppState>,
    ApiJson(request): ApiJson<RetryRequest>,
) -> Result<Json<RetryResponse>, ApiError> {
    let retry = read(job_id, request)?;
    let retried = state.store.retry(retry).await?;
    let outcome = match &retried {
        Retried::Scheduled { .. } => Some(AttemptOutcome::Retried),
        Retried::Exhausted(_) => Some(AttemptOutcome::Exhausted),
        Retried::Repeated { .. } | Retried::Stale | Retried::Unknown => None,
    };
    if let Some(outcome) = outcome {
        state.metrics.notifications().attempts(outcome, 1);
    }
    let available_at = match retried {
        Retried::Scheduled { available_at } => Some(available_at),
        Retried::Exhausted(_) => None,
        Retried::Repeated { available_at } => available_at,
        Retried::Stale => return Err(stale()),
        Retried::Unknown => return Err(ApiError::not_found("job")),
    };
    Ok(Json(RetryResponse {
        outcome: match available_at {
            Some(_) => RetryOutcome::Scheduled,
            None => RetryOutcome::Exhausted,
        },
        // Rounded up: whoever comes then is not too early.
        retry_in_seconds: available_at.map(|available_at| {
            seconds(available_at.since(state.store.clock().now()) + Duration::from_millis(999))
        }),
    }))
}

fn read(job_id: i64, request: RetryRequest) -> Result<Retry, ApiError> {
    let mut faults = Faults::default();
    checks::token(&request.token, "token", &mut faults);
    let message = &request.user_message;
    let plain = !message.chars().any(char::is_control);
    let said = !message.trim().is_empty() || request.hand_back;
    let good = plain && said && message.chars().count() <= LONGEST_MESSAGE;
    let accepted = "1 to 500 characters without control characters";
    faults.check(
        good,
        "userMessage",
        "it is missing, too long or not plain",
        accepted,
    );
    let wait = request.retry_after_seconds;
    let good = wait.is_none_or(|wait| wait <= LONGEST_WAIT);
    faults.check(good, "retryAfterSeconds", "it is too long", "0 to 3600");
    faults.into_result()?;
    Ok(Retry {
        job_id,
        token: request.token,
        error: shortened(&request.error),
        user_message: request.user_message,
        retry_after: wait.map(|wait| Duration::from_secs(wait.into())),
        hand_back: request.hand_back,
    })
}

/// The beginning of an error, without what could forge a line of a log.
fn shortened(error: &str) -> String {
    let plain = error.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text: String = plain.take(LONGEST_ERROR).collect();
    while text.len() > LONGEST_ERROR {
        text.pop();
    }
    text
}
