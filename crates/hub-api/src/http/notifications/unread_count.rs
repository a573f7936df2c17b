//! `GET /api/v1/notifications/unread-count`: how many nobody acknowledged.

use axum::{Json, extract::State};
use shared_dto::{notification::UnreadCount, problem::Problem};

use crate::{
    auth::Caller,
    http::ApiError,
    store::{Store, Stream},
};

/// Count unread notifications
#[utoipa::path(
    get,
    path = "/api/v1/notifications/unread-count",
    tag = "notifications",
    security(("bearer" = [])),
    responses(
        (status = 200, body = UnreadCount),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn unread_count(
    Caller(principal): Caller,
    State(store): State<Store>,
) -> Result<Json<UnreadCount>, ApiError> {
    let state = store
        .stream_state(&Stream::of_user(&principal.user_id))
        .await?;
    Ok(Json(UnreadCount {
        unread: state.unread(),
        acknowledged: state.acknowledged,
    }))
}
