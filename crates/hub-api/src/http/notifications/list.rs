//! `GET /api/v1/notifications`: the caller's log after a sequence.

use axum::{Json, extract::State};
use serde_json::{Value, json};
use shared_dto::{
    notification::{Notification, NotificationPage},
    problem::Problem,
};

use crate::{
    auth::Caller,
    http::{ApiError, params::Query},
    lifecycle::describe,
    links::Links,
    store::{LoggedEntry, Store, Stream, UnixMillis},
};

/// List notifications
///
/// In order of their sequence, after the one given. A client that keeps the
/// highest sequence that it has seen misses none and can drop repeats.
#[utoipa::path(
    get,
    path = "/api/v1/notifications",
    tag = "notifications",
    security(("bearer" = [])),
    params(
        ("after" = Option<i64>, Query, minimum = 0, description = "only entries with a higher sequence; 0 where it is missing"),
        ("limit" = Option<i64>, Query, description = "1 to 100, 20 where it is missing"),
    ),
    responses(
        (status = 200, body = NotificationPage),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_notifications(
    Caller(principal): Caller,
    query: Query,
    State(store): State<Store>,
    State(links): State<Links>,
) -> Result<Json<NotificationPage>, ApiError> {
    let (limit, after) = (query.limit()?, query.position("after")?.unwrap_or(0));
    // Nothing can lie above, and the store may count on from here.
    let after = after.min(i64::MAX - 1);
    let page = store
        .entries(&Stream::of_user(&principal.user_id), after, limit)
        .await?;
    let complete = page.complete_after(after);
    let now = store.clock().now();
    let items = page
        .entries
        .iter()
        .map(|entry| notification(entry, &links, now));
    Ok(Json(NotificationPage {
        items: items.collect::<Result<_, _>>()?,
        epoch: page.state.epoch.to_string(),
        head: page.state.head,
        complete,
    }))
}

fn notification(
    entry: &LoggedEntry,
    links: &Links,
    now: UnixMillis,
) -> Result<Notification, ApiError> {
    let payload = links.sign_payload(&entry.payload, now);
    let mut payload: Value = serde_json::from_str(&payload)
        .map_err(|error| ApiError::internal(describe(&error), "read a logged payload"))?;
    if let Value::Object(members) = &mut payload {
        members.insert("notificationId".to_owned(), json!(entry.notification_id));
        members.insert("sequence".to_owned(), json!(entry.sequence));
    }
    Ok(Notification {
        notification_id: entry.notification_id,
        sequence: entry.sequence,
        event: entry.event.to_string(),
        payload,
        created_at: entry.created_at.to_datetime(),
    })
}
