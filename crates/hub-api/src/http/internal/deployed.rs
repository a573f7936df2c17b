//! `POST /api/internal/signalr/analysis-completed` and `/analysis-failed`: the
//! contract that deployed workers speak, with the secret in the body.

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
};
use serde_json::Value;
use shared_dto::{
    notify::{
        DeployedNotifyRequest, INTERNAL_SECRET_HEADER, NotifyAccepted, NotifyRequest, NotifyType,
    },
    problem::Problem,
};

use super::{guard::AdmittedPeer, notification::Reading, notify};
use crate::http::{
    ApiError, AppState,
    body::{self, Bounds},
    json,
};

/// Notify of a completed analysis (deployed contract)
///
/// `analysisId` may be a numeric string. The answer is 200.
#[utoipa::path(
    post,
    path = "/api/internal/signalr/analysis-completed",
    tag = "internal",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; a repeated call gives the first answer")),
    request_body = DeployedNotifyRequest,
    responses(
        (status = 200, body = NotifyAccepted),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn analysis_completed(
    peer: AdmittedPeer,
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<NotifyAccepted>, ApiError> {
    deployed(peer, state, request, NotifyType::Completed).await
}

/// Notify of a failed analysis (deployed contract)
///
/// As for a completed one; without `errorMessage` the hub has words of its own.
#[utoipa::path(
    post,
    path = "/api/internal/signalr/analysis-failed",
    tag = "internal",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; a repeated call gives the first answer")),
    request_body = DeployedNotifyRequest,
    responses(
        (status = 200, body = NotifyAccepted),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn analysis_failed(
    peer: AdmittedPeer,
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<NotifyAccepted>, ApiError> {
    deployed(peer, state, request, NotifyType::Failed).await
}

async fn deployed(
    AdmittedPeer(peer): AdmittedPeer,
    state: AppState,
    request: Request,
    kind: NotifyType,
) -> Result<Json<NotifyAccepted>, ApiError> {
    let (parts, body) = request.into_parts();
    let idle = state.config.server.body_idle_timeout;
    let body = read(&parts.headers, body, idle).await;
    // The secret is looked at before anything is said about the rest: who does
    // not know it learns nothing of what is accepted.
    let in_body = body
        .as_ref()
        .ok()
        .and_then(|body| body.get("internalSecret")?.as_str());
    let in_header = parts
        .headers
        .get(INTERNAL_SECRET_HEADER)
        .map(http::HeaderValue::as_bytes);
    let given = in_body.map(str::as_bytes).or(in_header).unwrap_or_default();
    state.guard.check(given, peer)?;
    let DeployedNotifyRequest {
        user_id,
        mut notification,
        ..
    } = json::convert(body?)?;
    if let Value::Object(members) = &mut notification {
        // The route says what it is; senders disagree on the status' spelling.
        members.remove("status");
    }
    let request = NotifyRequest {
        kind: Some(kind),
        user_id,
        notification: Some(notification),
        result: None,
        attempt: None,
        event: None,
        payload: None,
    };
    let idempotency = notify::idempotency(&parts.headers, &request)?;
    let (accepted, _) = notify::handle(&state, request, idempotency, Reading::Deployed).await?;
    Ok(Json(accepted))
}

/// Declared as JSON or not: .NET's `PostAsJsonAsync` does, a script may not.
async fn read(
    headers: &http::HeaderMap,
    body: Body,
    idle: std::time::Duration,
) -> Result<Value, ApiError> {
    let bounds = Bounds {
        bytes: notify::LONGEST_BODY,
        idle,
    };
    json::parse(&body::read(headers, body, bounds).await?)
}
