//! `POST /internal/notify`: results, plain notifications, progress, and events
//! of any other kind of job. Whatever is logged is in the log before the answer.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use shared_dto::{
    UserId,
    notification::AnalysisProgress,
    notify::{Attempt, NotifyAccepted, NotifyRequest},
    problem::Problem,
};

use super::{
    checks::{self, Faults},
    guard::Internal,
    notification::{self, Ended, Notice, Reading},
};
use crate::{
    hex::hex,
    http::{ApiError, AppState, json::ApiJson, params, problem::Kind},
    metrics::{AttemptOutcome, NotificationOutcome},
    store::{
        Append, Beat, Heartbeat, Idempotency, NewNotification, Outcome, StoreError, Stream,
        Terminal,
    },
};
use telemetry::trace::TraceParent;
use tracing::Span;

/// The longest body: a result, a notification and their names.
pub(super) const LONGEST_BODY: usize = 512 * 1024;

/// Notify a user
///
/// With `notification`: about an analysis. With `attempt` as well: the outcome
/// or the progress of that attempt, which is stored. With `event` and
/// `payload`: about any other kind of job, logged alike.
#[utoipa::path(
    post,
    path = "/internal/notify",
    tag = "internal",
    security(("internalSecret" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; a repeated call gives the first answer")),
    request_body = NotifyRequest,
    responses(
        (status = 202, body = NotifyAccepted, description = "New"),
        (status = 200, body = NotifyAccepted, description = "Seen before: the first answer"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such job"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The attempt is no longer the job's, or the key came with another body"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The user is not the owner"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn notify(
    _: Internal,
    State(state): State<AppState>,
    headers: HeaderMap,
    ApiJson(request): ApiJson<NotifyRequest, LONGEST_BODY>,
) -> Result<Response, ApiError> {
    let idempotency = idempotency(&headers, &request)?;
    let (accepted, fresh) = handle(&state, request, idempotency, Reading::Strict).await?;
    let status = if fresh {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(accepted)).into_response())
}

/// The key of a call, with the hash of all that it says.
pub(super) fn idempotency(
    headers: &HeaderMap,
    request: &NotifyRequest,
) -> Result<Option<Idempotency>, ApiError> {
    let Some(key) = params::idempotency_key(headers)? else {
        return Ok(None);
    };
    // Read and written again: the same call has the same hash, however it was spelt.
    let text = serde_json::to_vec(request)
        .map_err(|error| ApiError::internal(error, "hash a notification"))?;
    let body_hash = hex(&Sha256::digest(text));
    Ok(Some(Idempotency {
        scope: "notify".to_owned(),
        key,
        body_hash,
    }))
}

/// What the call is answered with, and whether it was new.
pub(super) async fn handle(
    state: &AppState,
    request: NotifyRequest,
    idempotency: Option<Idempotency>,
    reading: Reading,
) -> Result<(NotifyAccepted, bool), ApiError> {
    check_attempt(request.attempt.as_ref(), request.result.is_some())?;
    Span::current().record("user", tracing::field::display(&request.user_id));
    let Some(dto) = request.notification else {
        return append(state, event(request)?, idempotency).await;
    };
    if request.event.is_some() || request.payload.is_some() {
        return Err(ApiError::invalid(
            "event",
            "notification was sent as well",
            "one of the two",
        ));
    }
    if let Some(result) = &request.result {
        let mut faults = Faults::default();
        checks::result(result, &mut faults);
        faults.into_result()?;
    }
    let user = &request.user_id;
    match notification::read(request.kind, user, dto, request.result.as_ref(), reading)? {
        Notice::Progress(progress) => told(state, progress, request.attempt).await,
        Notice::Terminal(Ended {
            event,
            analysis_id,
            payload,
            error_message,
        }) => {
            Span::current().record("analysis", analysis_id);
            let failed = error_message.is_some();
            if failed && request.result.is_some() {
                return Err(ApiError::invalid(
                    "result",
                    "the analysis failed",
                    "no result",
                ));
            }
            let result = request.result.map(Box::new);
            let outcome = request.attempt.map(|Attempt { job_id, token }| Outcome {
                job_id,
                token,
                terminal: error_message.map_or(Terminal::Completed(result), Terminal::Failed),
            });
            let new = new_entry(user, event, &payload, Some(analysis_id), outcome);
            append(state, new, idempotency).await
        }
    }
}

fn check_attempt(attempt: Option<&Attempt>, has_result: bool) -> Result<(), ApiError> {
    let mut faults = Faults::default();
    match attempt {
        Some(attempt) => {
            checks::token(&attempt.token, "attempt.token", &mut faults);
            faults.check(
                attempt.job_id >= 1,
                "attempt.jobId",
                "it is no id",
                "an integer from 1 on",
            );
        }
        None => faults.check(
            !has_result,
            "result",
            "it belongs to no attempt",
            "a result with its attempt",
        ),
    }
    faults.into_result()
}

/// An event of another kind of job.
fn event(request: NotifyRequest) -> Result<NewNotification, ApiError> {
    let Some(name) = request.event else {
        return Err(ApiError::invalid(
            "notification",
            "it is missing",
            "notification, or event and payload",
        ));
    };
    let mut faults = Faults::default();
    checks::event(&name, "event", &mut faults);
    faults.check(
        request.kind.is_none(),
        "type",
        "it is for analyses",
        "no type beside event",
    );
    faults.check(
        request.attempt.is_none(),
        "attempt",
        "it is for analyses",
        "no attempt beside event",
    );
    let payload = request.payload.unwrap_or_default();
    checks::payload(&payload, "payload", &mut faults);
    faults.into_result()?;
    Ok(new_entry(&request.user_id, &name, &payload, None, None))
}

fn new_entry(
    user: &UserId,
    event: &str,
    payload: &Value,
    analysis_id: Option<i64>,
    outcome: Option<Outcome>,
) -> NewNotification {
    NewNotification {
        stream: Stream::of_user(user),
        event: event.into(),
        payload: Arc::from(payload.to_string()),
        analysis_id,
        idempotency: None,
        outcome,
        trace: TraceParent::current(),
    }
}

async fn append(
    state: &AppState,
    mut new: NewNotification,
    idempotency: Option<Idempotency>,
) -> Result<(NotifyAccepted, bool), ApiError> {
    new.idempotency = idempotency;
    let figures = state.metrics.notifications();
    let ending = new.outcome.as_ref().map(|outcome| match outcome.terminal {
        Terminal::Completed(_) => AttemptOutcome::Completed,
        Terminal::Failed(_) => AttemptOutcome::Failed,
    });
    let appended = state.store.append(new).await.inspect_err(|error| {
        if !matches!(error, StoreError::UnstorableText) {
            figures.posted(NotificationOutcome::Failed);
        }
    })?;
    if let (Append::Appended(_), Some(ending)) = (&appended, ending) {
        figures.attempts(ending, 1);
    }
    let (appended, fresh) = match appended {
        Append::Appended(appended) => (appended, true),
        Append::Repeated(appended) => (appended, false),
        Append::Conflict => {
            return Err(ApiError::field(
                Kind::IDEMPOTENCY,
                "Idempotency-Key",
                "it came before with another body",
                "a new key for a new call",
            ));
        }
        Append::UnknownJob => return Err(ApiError::not_found("job")),
        Append::NotOwner => return Err(not_owner()),
        Append::StaleAttempt => return Err(stale()),
    };
    let accepted = NotifyAccepted {
        notification_id: Some(appended.notification_id),
        sequence: Some(appended.sequence),
        connections: appended.connections,
    };
    Ok((accepted, fresh))
}

/// Progress: kept on the job of its attempt, told, and not logged.
async fn told(
    state: &AppState,
    mut progress: AnalysisProgress,
    attempt: Option<Attempt>,
) -> Result<(NotifyAccepted, bool), ApiError> {
    if let Some(Attempt { job_id, token }) = attempt {
        let kept = shared_dto::analysis::Progress {
            percent: progress.percent,
            stage: progress.stage.clone(),
            message: progress.message.clone(),
        };
        let lease: Duration = state.config.jobs.lease;
        let beat = Heartbeat {
            job_id,
            token,
            lease,
            progress: Some(kept),
            park: None,
            owner: Some(progress.user_id.clone()),
        };
        match state.store.heartbeat(beat).await? {
            Beat::Alive(alive) => progress.analysis_id = alive.analysis_id,
            Beat::NotOwner => return Err(not_owner()),
            Beat::Stale => return Err(stale()),
            Beat::Unknown => return Err(ApiError::not_found("job")),
        }
    }
    let connections = state.delivery.progress(&progress);
    Ok((
        NotifyAccepted {
            notification_id: None,
            sequence: None,
            connections,
        },
        true,
    ))
}

/// The token is not that of the job's lease.
pub(in crate::http) fn stale() -> ApiError {
    ApiError::new(
        Kind::STALE_ATTEMPT,
        "Another attempt has the job, or it has ended. Drop this one.",
    )
}

fn not_owner() -> ApiError {
    ApiError::field(
        Kind::UNPROCESSABLE,
        "userId",
        "the analysis of this attempt belongs to somebody else",
        "the owner of the analysis",
    )
}
