//! `/api/admin/switches`: how the switches stand, and turning them.

use axum::{Json, extract::State};
use serde::Serialize;
use shared_dto::problem::Problem;
use signalr::protocol::RawJson;
use utoipa::ToSchema;

use crate::{
    auth::Admin,
    delivery::Delivery,
    http::{ApiError, json::ApiJson},
    switches::{BadChange, MaintenanceNotice, NOTICE_EVENT, SwitchChange, Switches},
};

/// The longest change: a full allow-list.
const LONGEST_CHANGE: usize = 256 * 1024;

/// How the switches stand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SwitchesView {
    /// Whether clients' hubs are served.
    #[serde(rename = "enableSignalR")]
    enable_signalr: bool,
    /// Whether the unified stream is served.
    realtime_streaming_v2: bool,
    /// The share of users who are served live.
    realtime_rollout_percent: u8,
    /// Users who are served live whatever the share.
    rollout_allow_list: Vec<String>,
    /// What is logged; null where the hub does not log by itself.
    log_filter: Option<String>,
    /// The text for everybody who is connected.
    maintenance_notice: Option<MaintenanceNotice>,
    /// After a change, where hubs share a Redis: whether Redis took it for the
    /// others. If not, they stay as they are; send the change again, or to each
    /// of them. One whose own link to Redis is broken just then does not hear of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_hubs_told: Option<bool>,
}

impl SwitchesView {
    fn of(switches: &Switches, other_hubs_told: Option<bool>) -> Json<Self> {
        let state = switches.state();
        Json(Self {
            enable_signalr: state.signalr,
            realtime_streaming_v2: state.streaming_v2,
            realtime_rollout_percent: state.rollout_percent,
            rollout_allow_list: switches.allow_list(),
            log_filter: telemetry::log_filter(),
            maintenance_notice: switches.notice(),
            other_hubs_told,
        })
    }
}

/// The switches
#[utoipa::path(
    get,
    path = "/api/admin/switches",
    tag = "admin",
    security(("bearer" = [])),
    responses(
        (status = 200, body = SwitchesView),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn switches(_: Admin, State(switches): State<Switches>) -> Json<SwitchesView> {
    SwitchesView::of(&switches, None)
}

/// Turn switches
///
/// What is absent stays as it is. It takes effect at once, on this hub and on
/// those that share database and Redis with it and hear of it (see `otherHubsTold`),
/// and until the next start or SIGHUP, when the settings count.
#[utoipa::path(
    patch,
    path = "/api/admin/switches",
    tag = "admin",
    security(("bearer" = [])),
    request_body = SwitchChange,
    responses(
        (status = 200, body = SwitchesView),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn change_switches(
    Admin(operator): Admin,
    State(switches): State<Switches>,
    State(delivery): State<Delivery>,
    ApiJson(change): ApiJson<SwitchChange, LONGEST_CHANGE>,
) -> Result<Json<SwitchesView>, ApiError> {
    tracing::warn!(operator = %operator.user_id, "switches.asked");
    switches.change(&change)?;
    let told = delivery.nodes().switched(&change).await;
    if let Some(Some(notice)) = &change.maintenance_notice {
        delivery
            .broadcast(NOTICE_EVENT, &[raw(notice)], None)
            .await
            .map_err(|error| ApiError::internal(error, "tell clients of a notice"))?;
    }
    Ok(SwitchesView::of(&switches, told))
}

fn raw(notice: &MaintenanceNotice) -> RawJson {
    let text = serde_json::to_string(notice).expect("texts are written as JSON");
    serde_json::from_str(&text).expect("what was written is read")
}

impl From<BadChange> for ApiError {
    fn from(bad: BadChange) -> Self {
        Self::invalid(bad.field, bad.problem, bad.accepted)
    }
}
