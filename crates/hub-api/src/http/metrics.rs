//! `GET /metrics` for Prometheus, and the documents' figures as JSON.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{FromRef as _, FromRequestParts, State},
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
    request::Parts,
};
use serde::Serialize;
use shared_dto::{notify::INTERNAL_SECRET_HEADER, problem::Problem};
use signalr_redis::LinkState;
use telemetry::metrics::CONTENT_TYPE as OPEN_METRICS;
use time::OffsetDateTime;
use tokio::{sync::Mutex, time::timeout};
use utoipa::ToSchema;

use super::{ApiError, AppState, internal::guard::Guard, problem::Kind};
use crate::{
    auth::{Admin, Denied},
    hub::plant_analysis::NAME,
    metrics::{Metrics, Standing},
    queue::QueueStatus,
    store::QueueStats,
    switches::SwitchState,
};

/// The queue is asked how it stands for this long.
const PATIENCE: Duration = Duration::from_secs(2);
/// However many scrape, the database is asked this often at most.
const KEPT: Duration = Duration::from_secs(1);

/// The hub's figures, and what is asked for when somebody reads them.
#[derive(Debug)]
pub(crate) struct Scrape {
    metrics: Arc<Metrics>,
    broker: Option<Arc<QueueStatus>>,
    jobs: Mutex<Option<(Instant, Option<QueueStats>)>>,
}

impl Scrape {
    pub(crate) fn new(metrics: Arc<Metrics>, broker: Option<Arc<QueueStatus>>) -> Self {
        Self {
            metrics,
            broker,
            jobs: Mutex::default(),
        }
    }

    /// The figures as Prometheus reads them.
    pub(crate) async fn text(&self, state: &AppState) -> String {
        self.metrics.text(self.standing(state).await)
    }

    async fn standing(&self, state: &AppState) -> Standing {
        let redis = state.delivery.nodes().redis();
        Standing {
            jobs: self.jobs(state).await,
            pool: state.store.pool(),
            redis: redis.map(|(link, stats)| (matches!(link, LinkState::Up), stats)),
            backplane: state.delivery.backplane_stats(),
            broker: self.broker.as_ref().map(|broker| broker.figures()),
            denied: state.entrance.denials.counts().collect(),
            slow_clients: vec![(NAME, state.operations.clients.slow_client_count())],
            switches: switches(state.switches.state()),
        }
    }

    async fn jobs(&self, state: &AppState) -> Option<QueueStats> {
        let mut last = self.jobs.lock().await;
        if let Some((at, jobs)) = *last
            && at.elapsed() < KEPT
        {
            return jobs;
        }
        let asked = timeout(PATIENCE, state.store.queue_stats()).await;
        let jobs = asked.ok().and_then(Result::ok);
        *last = Some((Instant::now(), jobs));
        jobs
    }
}

fn switches(state: SwitchState) -> Vec<(&'static str, f64)> {
    let flag = |on: bool| f64::from(u8::from(on));
    vec![
        ("enable_signalr", flag(state.signalr)),
        ("realtime_streaming_v2", flag(state.streaming_v2)),
        ("realtime_rollout_percent", state.rollout_percent.into()),
        ("maintenance_notice", flag(state.has_notice)),
    ]
}

/// Who may read the figures: whoever is on the allow-list of internal calls
/// (loopback always), or shows the internal secret or an operator's token.
#[derive(Debug)]
pub(crate) struct Scraper;

impl FromRequestParts<AppState> for Scraper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let guard = Arc::<Guard>::from_ref(state);
        let client = state.entrance.client(parts);
        if client.is_some_and(|client| guard.is_listed(client)) {
            return Ok(Self);
        }
        let secret = parts.headers.get(INTERNAL_SECRET_HEADER);
        if let (Some(secret), Some(client)) = (secret, client) {
            guard.check(secret.as_bytes(), client)?;
            return Ok(Self);
        }
        if parts.headers.contains_key(AUTHORIZATION) {
            Admin::from_request_parts(parts, state).await?;
            return Ok(Self);
        }
        if let Some(seconds) = state.entrance.deny(Denied::Network, "metrics", client) {
            return Err(ApiError::too_many(seconds));
        }
        Err(ApiError::new(
            Kind::FORBIDDEN,
            "The figures are for addresses on the allow-list, the internal secret, or the role Admin.",
        ))
    }
}

/// Figures for Prometheus
///
/// OpenMetrics text.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses(
        (status = 200, content_type = "application/openmetrics-text", body = String),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn metrics(_: Scraper, State(state): State<AppState>) -> Response {
    let mut response = state.scrape.text(&state).await.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    response
}

/// The figures that the documents show.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignalRMetrics {
    /// Connections since the hub started.
    total_connections: u64,
    /// Connections that are open.
    current_connections: i64,
    /// The most that were open at the same time.
    peak_connections: i64,
    /// Connections whose clients are behind with what they were sent.
    slow_clients: usize,
    /// Notifications that were logged, and so reach their users.
    notifications_sent: u64,
    /// Notifications that could not be logged.
    notifications_failed: u64,
    /// From the log until a connected client was known to have it, on average.
    average_latency_ms: Option<f64>,
    /// When this was so.
    #[serde(with = "time::serde::rfc3339")]
    timestamp: OffsetDateTime,
}

/// Figures of the hub
///
/// Of this process, since it started.
#[utoipa::path(
    get,
    path = "/api/internal/signalr/metrics",
    tag = "admin",
    security(("bearer" = [])),
    responses(
        (status = 200, body = SignalRMetrics),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn signalr_metrics(
    _: Admin,
    State(state): State<AppState>,
) -> Json<SignalRMetrics> {
    let metrics = &state.scrape.metrics;
    let (hubs, notifications) = (metrics.hubs(), metrics.notifications());
    let average = notifications.average_arrival();
    Json(SignalRMetrics {
        total_connections: hubs.iter().map(|hub| hub.connections_ever()).sum(),
        current_connections: hubs.iter().map(|hub| hub.connections_open()).sum(),
        peak_connections: hubs.iter().map(|hub| hub.connections_peak()).sum(),
        slow_clients: state.operations.clients.slow_client_count(),
        notifications_sent: notifications.logged(),
        notifications_failed: notifications.failed(),
        average_latency_ms: average.map(|average| average.as_secs_f64() * 1e3),
        timestamp: OffsetDateTime::now_utc(),
    })
}
