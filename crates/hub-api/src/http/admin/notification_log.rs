//! `GET /api/admin/notifications`: what was sent to whom, and what became of it.

use axum::{Json, extract::State};
use serde::Serialize;
use shared_dto::{UserId, problem::Problem};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    auth::Admin,
    http::{ApiError, params::Query},
    store::{Delivery, DeliveryFilter, DeliveryOutcome, Store, UnixMillis},
};

/// A page of the notification log, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotificationLogPage {
    /// The notifications.
    items: Vec<NotificationLogEntry>,
    /// The `before` of the next page; null on the last. A page that is short
    /// or empty may have a next one.
    next_before: Option<i64>,
}

/// One notification and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotificationLogEntry {
    /// The notification.
    id: i64,
    /// Whose it is.
    user_id: Option<UserId>,
    /// The analysis that it is about.
    analysis_id: Option<i64>,
    /// Position in the user's log.
    sequence: i64,
    /// The hub event that carries it.
    event: String,
    /// When it was logged.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was last handed to a connection; null while none was there.
    #[serde(with = "time::serde::rfc3339::option")]
    sent_at: Option<OffsetDateTime>,
    /// A device of the user has it.
    success: bool,
    /// confirmed, sent or waiting.
    outcome: &'static str,
    /// Why it is not confirmed.
    error_message: Option<&'static str>,
    /// How often it was handed on again.
    retry_count: u32,
    /// When a device was seen to have it.
    #[serde(with = "time::serde::rfc3339::option")]
    confirmed_at: Option<OffsetDateTime>,
    /// What showed it.
    confirmed_by: Option<String>,
}

/// Read the notification log
///
/// Every notification with its delivery: when it was sent, whether a device
/// has it, how often it was sent again. An analysis is looked for in the log
/// of its owner, or of the user that is given. For the role Admin.
#[utoipa::path(
    get,
    path = "/api/admin/notifications",
    tag = "admin",
    security(("bearer" = [])),
    params(
        ("userId" = Option<String>, Query, description = "only those of this user"),
        ("analysisId" = Option<i64>, Query, minimum = 1, description = "only those about this analysis"),
        ("outcome" = Option<String>, Query, description = "only those that are confirmed, sent or waiting"),
        ("before" = Option<i64>, Query, minimum = 0, description = "only those with a lower id: nextBefore of the page before"),
        ("limit" = Option<i64>, Query, description = "1 to 100, 20 where it is missing"),
    ),
    responses(
        (status = 200, body = NotificationLogPage),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn notification_log(
    _: Admin,
    query: Query,
    State(store): State<Store>,
) -> Result<Json<NotificationLogPage>, ApiError> {
    let page = store.deliveries(&filter(&query)?).await?;
    Ok(Json(NotificationLogPage {
        items: page.items.into_iter().map(entry).collect(),
        next_before: page.next_before,
    }))
}

fn filter(query: &Query) -> Result<DeliveryFilter, ApiError> {
    let user = query.text("userId")?.map(UserId::new).transpose();
    let user = user.map_err(|error| ApiError::invalid("userId", error.to_string(), "a user id"))?;
    let outcome = query.text("outcome")?.map(|text| {
        let known = DeliveryOutcome::ALL.into_iter();
        known
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or_else(|| {
                ApiError::invalid("outcome", "it is unknown", "confirmed, sent or waiting")
            })
    });
    Ok(DeliveryFilter {
        user,
        analysis_id: query.position("analysisId")?,
        outcome: outcome.transpose()?,
        before: query.position("before")?,
        limit: query.limit()?,
    })
}

fn entry(delivery: Delivery) -> NotificationLogEntry {
    let outcome = delivery.outcome();
    // A device that has it was sent it, though that was not noted by itself.
    let sent_at = delivery
        .attempted_at
        .or(delivery.confirmed_at.map(|_| delivery.created_at));
    NotificationLogEntry {
        id: delivery.notification_id,
        user_id: delivery.user,
        analysis_id: delivery.analysis_id,
        sequence: delivery.sequence,
        event: delivery.event,
        created_at: delivery.created_at.to_datetime(),
        sent_at: sent_at.map(UnixMillis::to_datetime),
        success: outcome == DeliveryOutcome::Confirmed,
        outcome: outcome.as_str(),
        error_message: match outcome {
            DeliveryOutcome::Confirmed => None,
            DeliveryOutcome::Sent => Some("Sent, and confirmed by no device yet."),
            DeliveryOutcome::Waiting => Some("No connection of the user has taken it yet."),
        },
        retry_count: delivery.attempts.saturating_sub(1),
        confirmed_at: delivery.confirmed_at.map(UnixMillis::to_datetime),
        confirmed_by: delivery.receipt_source,
    }
}
