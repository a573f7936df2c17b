//! What the worker tells of itself: `/health` (also `/api/health`),
//! `/health/live`, `/health/ready`, `/metrics`.
//!
//! Answers come from memory: a slow hub cannot hang them, and asking costs
//! nothing. Nothing here holds an id or a secret.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use broker::LinkState;
use serde_json::{Value, json};
use telemetry::{
    metrics::{CONTENT_TYPE as OPEN_METRICS, Source, Writer, render},
    process::Process,
};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::hub::{BreakerState, Hub};

/// What the lease loop is doing; it writes, health reads.
#[derive(Debug)]
pub(crate) struct Vitals(Mutex<Pulse>);

#[derive(Debug, Clone)]
struct Pulse {
    doing: Doing,
    since: Instant,
    last_answer: Option<Instant>,
    last_error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    WaitingForSlot,
    Asking,
    Pausing,
}

impl Vitals {
    pub(crate) fn new() -> Self {
        let since = Instant::now();
        Self(Mutex::new(Pulse {
            doing: Doing::Pausing,
            since,
            last_answer: None,
            last_error: None,
        }))
    }

    pub(crate) fn waiting_for_slot(&self) {
        self.set(Doing::WaitingForSlot);
    }

    pub(crate) fn asking(&self) {
        self.set(Doing::Asking);
    }

    pub(crate) fn answered(&self) {
        let mut pulse = self.lock();
        pulse.last_answer = Some(Instant::now());
        pulse.last_error = None;
    }

    pub(crate) fn refused(&self, error: String) {
        self.set(Doing::Pausing);
        self.lock().last_error = Some(error);
    }

    fn set(&self, doing: Doing) {
        let mut pulse = self.lock();
        (pulse.doing, pulse.since) = (doing, Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Pulse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What health looks at.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    pub(crate) hub: Arc<Hub>,
    pub(crate) vitals: Arc<Vitals>,
    /// The attempts under way.
    pub(crate) attempts: TaskTracker,
    pub(crate) slots: usize,
    pub(crate) analyser: &'static str,
    pub(crate) leaving: CancellationToken,
    /// The connection that brings jobs, where a broker does.
    pub(crate) broker: Option<Arc<LinkState>>,
    /// A question for jobs is answered within this time.
    pub(crate) longest_poll: Duration,
    pub(crate) process: Arc<Process>,
}

/// The routes.
pub(crate) fn router(health: Health) -> Router {
    Router::new()
        .route("/health", get(whole))
        .route("/api/health", get(whole))
        .route("/metrics", get(metrics))
        .route("/health/ready", get(ready))
        .route(
            "/health/live",
            get(async || Json(json!({ "status": "Healthy" }))),
        )
        .with_state(health)
}

/// Everything; 503 only when the worker can do nothing.
async fn whole(State(health): State<Health>) -> Response {
    let report = health.report();
    let status = match report.verdict {
        Verdict::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        Verdict::Healthy | Verdict::Degraded => StatusCode::OK,
    };
    (status, Json(report.body)).into_response()
}

/// 200 when the worker takes jobs.
async fn ready(State(health): State<Health>) -> Response {
    let report = health.report();
    let ready = report.verdict == Verdict::Healthy;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report.body)).into_response()
}

/// The figures for Prometheus.
async fn metrics(State(health): State<Health>) -> Response {
    let standing = Standing {
        slots: health.slots,
        in_use: health.attempts.len(),
        breaker: health.hub.breaker_state(),
        hub_answers: health.vitals.lock().last_error.is_none(),
        broker: health
            .broker
            .as_ref()
            .map(|link| link.report().working_since.is_some()),
    };
    let text = render(&[
        health.process,
        Arc::clone(health.hub.figures()) as Arc<dyn Source>,
        Arc::new(standing),
    ]);
    ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}

/// ASP.NET's three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Healthy,
    Degraded,
    Unhealthy,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Unhealthy => "Unhealthy",
        }
    }
}

struct Report {
    verdict: Verdict,
    body: Value,
}

impl Health {
    fn report(&self) -> Report {
        let began = Instant::now();
        let pulse = self.vitals.lock().clone();
        let mut checks = serde_json::Map::new();
        let mut worst = Verdict::Healthy;
        let mut check = |name: &str, look: &dyn Fn() -> (Verdict, Value)| {
            let began = Instant::now();
            let (verdict, data) = look();
            worst = worst.max(verdict);
            let took = began.elapsed().as_secs_f64() * 1_000.0;
            let told = json!({"status": verdict.as_str(), "durationMs": took, "data": data});
            checks.insert(name.to_owned(), told);
        };
        check("hub", &|| self.hub_check(&pulse));
        check("leaseLoop", &|| self.lease_loop_check(&pulse));
        check("breaker", &|| self.breaker_check());
        check("slots", &|| self.slots_check());
        if let Some(link) = &self.broker {
            check("consumer", &|| consumer_check(link));
        }
        let verdict = worst;
        let body = json!({
            "status": verdict.as_str(),
            "durationMs": began.elapsed().as_secs_f64() * 1_000.0,
            "version": env!("CARGO_PKG_VERSION"),
            "analyser": self.analyser,
            "checks": checks,
        });
        Report { verdict, body }
    }

    /// A hub that was never there is no worse than one that went away: both come back.
    fn hub_check(&self, pulse: &Pulse) -> (Verdict, Value) {
        let verdict = match pulse.last_error {
            Some(_) => Verdict::Unhealthy,
            // The first question for jobs may be open for long; behind a broker the
            // hub has answered a ping by then.
            None if pulse.last_answer.is_none() && self.hub.since_last_answer().is_none() => {
                Verdict::Unhealthy
            }
            None => Verdict::Healthy,
        };
        let since = self
            .hub
            .since_last_answer()
            .map(|since| since.as_secs_f64());
        (
            verdict,
            json!({ "secondsSinceLastAnswer": since, "lastError": pulse.last_error }),
        )
    }

    fn lease_loop_check(&self, pulse: &Pulse) -> (Verdict, Value) {
        let since = pulse.since.elapsed();
        let verdict = match pulse.doing {
            _ if self.leaving.is_cancelled() => Verdict::Unhealthy,
            // Full slots are no fault: attempts have their own time limits.
            Doing::WaitingForSlot => Verdict::Healthy,
            Doing::Asking | Doing::Pausing if since > self.longest_poll => Verdict::Unhealthy,
            Doing::Asking | Doing::Pausing => Verdict::Healthy,
        };
        let doing = match pulse.doing {
            _ if self.leaving.is_cancelled() => "leaving",
            Doing::WaitingForSlot => "waiting for a free slot",
            Doing::Asking => "waiting for jobs",
            Doing::Pausing => "pausing after a failure",
        };
        let answered = pulse.last_answer.map(|at| at.elapsed().as_secs_f64());
        let data = json!({
            "doing": doing,
            "forSeconds": since.as_secs_f64(),
            "secondsSinceLastSuccess": answered,
        });
        (verdict, data)
    }

    fn breaker_check(&self) -> (Verdict, Value) {
        let state = self.hub.breaker_state();
        let verdict = match state {
            BreakerState::Closed => Verdict::Healthy,
            BreakerState::HalfOpen => Verdict::Degraded,
            BreakerState::Open => Verdict::Unhealthy,
        };
        (verdict, json!({ "state": state.as_str() }))
    }

    fn slots_check(&self) -> (Verdict, Value) {
        (
            Verdict::Healthy,
            json!({ "total": self.slots, "inUse": self.attempts.len() }),
        )
    }
}

/// What is not counted but asked for.
#[derive(Debug)]
struct Standing {
    slots: usize,
    in_use: usize,
    breaker: BreakerState,
    hub_answers: bool,
    broker: Option<bool>,
}

impl Source for Standing {
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let flag = |on: bool| f64::from(u8::from(on));
        let help = "Attempts that may run at the same time.";
        writer.gauge("tendril_worker_slots", help, self.slots as f64)?;
        let help = "Attempts that run.";
        writer.gauge("tendril_worker_slots_used", help, self.in_use as f64)?;
        let states = [
            BreakerState::Closed,
            BreakerState::Open,
            BreakerState::HalfOpen,
        ];
        writer.values(
            "tendril_worker_breaker",
            "The circuit breaker in front of the hub: 1 for the state that it is in.",
            states.map(|state| ([("state", state.as_str())], flag(state == self.breaker))),
        )?;
        let help = "Whether the hub's last answer to the question for jobs was a good one.";
        writer.gauge("tendril_worker_hub_up", help, flag(self.hub_answers))?;
        if let Some(works) = self.broker {
            let help = "Whether the broker brings jobs.";
            writer.gauge("tendril_worker_broker_up", help, flag(works))?;
        }
        Ok(())
    }
}

/// A worker whose consumer is not registered at the broker gets no jobs.
fn consumer_check(link: &LinkState) -> (Verdict, Value) {
    let report = link.report();
    let verdict = match report.working_since {
        Some(_) => Verdict::Healthy,
        None => Verdict::Unhealthy,
    };
    let since = report
        .working_since
        .map(|since| since.elapsed().as_secs_f64());
    let data = json!({
        "registeredForSeconds": since,
        "broken": report.broken,
        "lastError": report.last_error,
        "queued": report.depth,
        "lostAcknowledgements": report.lost_acknowledgements,
    });
    (verdict, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Figures;

    const RULES: &str = include_str!("../../../deploy/prometheus/alerts.yml");
    const DASHBOARD: &str = include_str!("../../../deploy/grafana/tendril.json");
    const DOCUMENT: &str = include_str!("../../../docs/METRICS.md");

    fn text() -> String {
        let standing = Standing {
            slots: 1,
            in_use: 0,
            breaker: BreakerState::Closed,
            hub_answers: true,
            broker: Some(true),
        };
        let figures: [Arc<dyn Source>; 2] = [Arc::new(Figures::default()), Arc::new(standing)];
        render(&figures)
    }

    #[test]
    fn whatever_rules_dashboard_and_document_name_of_the_worker_is_told() {
        let text = text();
        for document in [RULES, DASHBOARD, DOCUMENT] {
            let names = document
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .filter(|word| word.starts_with("tendril_worker_"));
            for name in names {
                let families = ["", "_total", "_bucket", "_sum", "_count"]
                    .into_iter()
                    .filter_map(|suffix| name.strip_suffix(suffix));
                let told = families
                    .into_iter()
                    .any(|family| text.contains(&format!("# TYPE {family} ")));
                assert!(told, "{name} is no metric");
            }
        }
        for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
            let name = line.split(' ').nth(2).unwrap_or_default();
            assert!(DOCUMENT.contains(name), "{name} is not in docs/METRICS.md");
        }
    }
}
