//! `POST /api/v1/notifications/ack`: the caller saw everything up to a sequence.

use axum::{Json, extract::State};
use shared_dto::{
    notification::{AcknowledgeRequest, UnreadCount},
    problem::Problem,
};

use crate::{
    auth::Caller,
    http::{ApiError, json::ApiJson},
    store::{Store, Stream},
};

/// Acknowledge notifications
///
/// Everything up to and with `sequence` counts as read. A lower sequence than
/// before changes nothing; one above the newest counts as the newest.
#[utoipa::path(
    post,
    path = "/api/v1/notifications/ack",
    tag = "notifications",
    security(("bearer" = [])),
    request_body = AcknowledgeRequest,
    responses(
        (status = 200, body = UnreadCount),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn acknowledge(
    Caller(principal): Caller,
    State(store): State<Store>,
    ApiJson(request): ApiJson<AcknowledgeRequest>,
) -> Result<Json<UnreadCount>, ApiError> {
    if request.sequence < 1 {
        return Err(ApiError::invalid(
            "sequence",
            "it is no sequence",
            "an integer from 1 on",
        ));
    }
    let stream = Stream::of_user(&principal.user_id);
    let state = store.acknowledge(&stream, request.sequence).await?;
    Ok(Json(UnreadCount {
        unread: state.unread(),
        acknowledged: state.acknowledged,
    }))
}
