//! `/health` and its kin: what works, told fast even when something hangs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header::CACHE_CONTROL};
use serde::Serialize;
use serde_json::{Map, Value, json};
use signalr_redis::LinkState;
use tokio::{sync::Mutex, time::timeout};
use utoipa::ToSchema;

use super::AppState;
use crate::{
    auth::Jwks, delivery::Delivery, images::ImageStore, lifecycle::Shutdown, queue::QueueStatus,
    store::Store, switches::Switches,
};

/// A check that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(2);
/// Everyone may ask, so the answer is kept for a moment.
const KEPT: Duration = Duration::from_secs(1);
/// More waiting writes than this are a sign of trouble.
const MANY_WAITING_WRITES: usize = 1_000;
/// A job that is ready and not taken for so long has no worker.
const LONG_UNTAKEN: Duration = Duration::from_secs(60);

/// How well something works, as ASP.NET's health checks name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub(crate) enum HealthStatus {
    /// It works.
    Healthy,
    /// It works, and somebody should look.
    Degraded,
    /// It does not work.
    Unhealthy,
}

/// The answer of `/health`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthReport {
    /// The worst of the checks.
    status: HealthStatus,
    /// One by one.
    checks: Vec<HealthCheck>,
    /// How long all of them took together.
    total_duration_ms: f64,
}

/// One check.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthCheck {
    /// What was looked at.
    name: &'static str,
    /// How it is.
    status: HealthStatus,
    /// The same in words.
    description: &'static str,
    /// How long it took.
    duration_ms: f64,
    /// Figures.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

/// Runs the checks and keeps the last report for a moment.
#[derive(Debug)]
pub(crate) struct Health {
    store: Store,
    images: ImageStore,
    delivery: Delivery,
    queue: Option<Arc<QueueStatus>>,
    shutdown: Shutdown,
    switches: Switches,
    jwks: Option<Arc<Jwks>>,
    last: Mutex<Option<(Instant, Arc<HealthReport>)>>,
}

impl Health {
    pub(crate) fn new(
        store: Store,
        images: ImageStore,
        delivery: Delivery,
        queue: Option<Arc<QueueStatus>>,
        shutdown: Shutdown,
        switches: Switches,
        jwks: Option<Arc<Jwks>>,
    ) -> Self {
        Self {
            store,
            images,
            delivery,
            queue,
            shutdown,
            switches,
            jwks,
            last: Mutex::default(),
        }
    }

    async fn report(&self) -> Arc<HealthReport> {
        // Who comes while checks run waits for that report instead of running
        // its own; each check is bounded, so nobody waits for long.
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < KEPT
        {
            return Arc::clone(report);
        }
        let start = Instant::now();
        let checks: [HealthCheck; 4] = tokio::join!(
            self.database(),
            self.image_store(),
            self.jobs(),
            self.signalr()
        )
        .into();
        let mut checks = Vec::from(checks);
        checks.extend(self.broker());
        checks.extend(self.redis());
        checks.extend(self.published_keys());
        let status = checks
            .iter()
            .map(|check| check.status)
            .max()
            .unwrap_or(HealthStatus::Healthy);
        let report = Arc::new(HealthReport {
            status,
            checks,
            total_duration_ms: millis(start),
        });
        *last = Some((Instant::now(), Arc::clone(&report)));
        report
    }

    async fn database(&self) -> HealthCheck {
        let start = Instant::now();
        match timeout(PATIENCE, self.store.health()).await {
            Ok(Ok(health)) => {
                let (status, description) = if !health.writer_alive {
                    (HealthStatus::Unhealthy, "The writer has ended")
                } else if health.queued_writes > MANY_WAITING_WRITES {
                    (HealthStatus::Degraded, "Many writes are waiting")
                } else if health.refuses_writes {
                    // What reads, and what clients are sent, goes on.
                    (
                        HealthStatus::Degraded,
                        "The database answers and refuses to write",
                    )
                } else {
                    (HealthStatus::Healthy, "The database answers")
                };
                let data = json!({"queuedWrites": health.queued_writes, "readMs": health.read.as_secs_f64() * 1e3});
                check("database", status, description, start, data)
            }
            Ok(Err(_)) => check(
                "database",
                HealthStatus::Unhealthy,
                "The database fails",
                start,
                Value::Null,
            ),
            Err(_) => hanging("database", start),
        }
    }

    async fn image_store(&self) -> HealthCheck {
        let start = Instant::now();
        let (status, description) = match timeout(PATIENCE, self.images.probe()).await {
            Ok(Ok(())) => (HealthStatus::Healthy, "Images can be kept"),
            // Results and notifications still flow.
            Ok(Err(_)) => (HealthStatus::Degraded, "Images cannot be kept"),
            Err(_) => (HealthStatus::Degraded, "The images do not answer in time"),
        };
        check("images", status, description, start, Value::Null)
    }

    async fn jobs(&self) -> HealthCheck {
        let start = Instant::now();
        match timeout(PATIENCE, self.store.queue_stats()).await {
            Ok(Ok(stats)) => {
                let (status, description) = if stats.ready > 0 && stats.oldest_ready > LONG_UNTAKEN
                {
                    (HealthStatus::Degraded, "Jobs wait and no worker takes them")
                } else {
                    (HealthStatus::Healthy, "Jobs are taken")
                };
                let data = json!({
                    "ready": stats.ready,
                    "waiting": stats.waiting,
                    "leased": stats.leased,
                    "parked": stats.parked,
                    "oldestReadySeconds": stats.oldest_ready.as_secs(),
                    "oldestOpenSeconds": stats.oldest_open.as_secs(),
                });
                check("jobs", status, description, start, data)
            }
            Ok(Err(_)) => check(
                "jobs",
                HealthStatus::Unhealthy,
                "The database fails",
                start,
                Value::Null,
            ),
            Err(_) => hanging("jobs", start),
        }
    }

    /// From memory. Without the broker jobs wait and nothing else does, so that
    /// it is never worse than degraded.
    fn broker(&self) -> Option<HealthCheck> {
        let start = Instant::now();
        let health = self.queue.as_ref()?.health();
        let status = if health.works {
            HealthStatus::Healthy
        } else {
            HealthStatus::Degraded
        };
        Some(check(
            "broker",
            status,
            health.description,
            start,
            health.data,
        ))
    }

    /// Without Redis this hub serves its own clients, and finds what the others
    /// wrote a little later: it is never unhealthy for that.
    fn redis(&self) -> Option<HealthCheck> {
        let start = Instant::now();
        let (state, stats) = self.delivery.nodes().redis()?;
        let (status, description) = match state {
            LinkState::Up => (HealthStatus::Healthy, "Redis is connected"),
            LinkState::Down { .. } => (HealthStatus::Degraded, "Redis is away; it is tried again"),
            LinkState::Closed => (HealthStatus::Degraded, "The hub has left Redis"),
        };
        let data = json!({
            "connects": stats.connects,
            "published": stats.published,
            "notPublished": stats.not_published,
            "received": stats.received,
        });
        Some(check("redis", status, description, start, data))
    }

    /// From memory. Keys that are known stay good while their source is away;
    /// without any, users are not let in, and everything else goes on.
    fn published_keys(&self) -> Option<HealthCheck> {
        let start = Instant::now();
        let report = self.jwks.as_ref()?.report();
        let (status, description) = match (report.keys, report.failing) {
            (0, _) => (
                HealthStatus::Degraded,
                "The issuer's keys are not here; no user can be let in",
            ),
            (_, true) => (
                HealthStatus::Degraded,
                "The issuer does not answer; its keys are kept",
            ),
            (_, false) => (HealthStatus::Healthy, "The issuer's keys are here"),
        };
        let age = report.age.map(|age| age.as_secs());
        let data = json!({"keys": report.keys, "ageSeconds": age});
        Some(check("keys", status, description, start, data))
    }

    async fn signalr(&self) -> HealthCheck {
        let start = Instant::now();
        let state = self.switches.state();
        let data = json!({
            "connections": self.delivery.open_connections(),
            "enabled": state.signalr,
            "rolloutPercent": state.rollout_percent,
        });
        // An operator did it, so that nothing is broken; somebody should know.
        let (status, description) = match state.signalr {
            true => (HealthStatus::Healthy, "SignalR Hub is operational"),
            false => (HealthStatus::Degraded, "SignalR is switched off"),
        };
        check("signalr", status, description, start, data)
    }
}

fn check(
    name: &'static str,
    status: HealthStatus,
    description: &'static str,
    start: Instant,
    data: Value,
) -> HealthCheck {
    let data = match data {
        Value::Object(data) => data,
        _ => Map::new(),
    };
    HealthCheck {
        name,
        status,
        description,
        duration_ms: millis(start),
        data,
    }
}

fn hanging(name: &'static str, start: Instant) -> HealthCheck {
    check(
        name,
        HealthStatus::Unhealthy,
        "It does not answer in time",
        start,
        Value::Null,
    )
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

fn answer<T: Serialize>(status: HealthStatus, body: T) -> Response {
    let code = match status {
        HealthStatus::Healthy | HealthStatus::Degraded => StatusCode::OK,
        HealthStatus::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = (code, Json(body)).into_response();
    response.headers_mut().insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-cache"),
    );
    response
}

/// All checks
#[utoipa::path(
    get,
    path = "/health",
    tag = "health",
    responses((status = 200, body = HealthReport), (status = 503, body = HealthReport))
)]
pub(crate) async fn health(State(health): State<Arc<Health>>) -> Response {
    let report = health.report().await;
    answer(report.status, &*report)
}

/// All checks (the documents' other path)
#[utoipa::path(
    get,
    path = "/api/health",
    tag = "health",
    responses((status = 200, body = HealthReport), (status = 503, body = HealthReport))
)]
pub(crate) async fn api_health(health: State<Arc<Health>>) -> Response {
    self::health(health).await
}

/// Whether the process lives
///
/// Looks at nothing else: a restart heals no database.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200)))]
pub(crate) async fn live() -> Response {
    answer(
        HealthStatus::Healthy,
        json!({"status": HealthStatus::Healthy}),
    )
}

/// Whether new clients may be sent here
///
/// No while the hub leaves, or when it cannot serve.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses((status = 200, body = HealthReport), (status = 503))
)]
pub(crate) async fn ready(State(health): State<Arc<Health>>) -> Response {
    if health.shutdown.is_draining() {
        let body = json!({"status": HealthStatus::Unhealthy, "description": "The hub is leaving"});
        return answer(HealthStatus::Unhealthy, body);
    }
    let report = health.report().await;
    answer(report.status, &*report)
}

/// The hub
#[utoipa::path(
    get,
    path = "/health/signalr",
    tag = "health",
    responses((status = 200, body = HealthCheck), (status = 503, body = HealthCheck))
)]
pub(crate) async fn health_signalr(State(state): State<AppState>) -> Response {
    let check = state.health.signalr().await;
    answer(check.status, check)
}
