//! A hub that leases what a test queues, remembers every call, and fails as told.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Value, json};
use shared_dto::{
    UserId,
    jobs::{ATTEMPT_TOKEN_HEADER, HeartbeatRequest, LeaseRequest, LeasedJob, RetryRequest},
    problem::PROBLEM_JSON,
    queue::{ClaimOutcome, ClaimRequest, ClaimResponse, OutsideResult},
};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};

pub(crate) const SECRET: &str = "the-internal-secret-of-these-tests";

/// How long a test waits for anything at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    Lease,
    Ping,
    Claim,
    Result,
    Heartbeat,
    Retry,
    Photo,
    Overlay,
    Notify,
}

/// What happens to a call instead of a good answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status as the hub's own, with `Retry-After` where given.
    Status(u16, Option<u32>),
    /// This status as a proxy's that does not reach the hub.
    Edge(u16),
    /// The call is done, and its answer is lost.
    AnswerLost,
    /// The call is taken, and never answered.
    Hang,
}

/// A call that was done.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Lease(LeaseRequest),
    Claim(i64, ClaimRequest),
    Result(OutsideResult),
    Heartbeat(i64, HeartbeatRequest),
    Retry(i64, RetryRequest),
    Photo,
    Overlay {
        analysis: i64,
        token: String,
        media_type: String,
        bytes: usize,
    },
    Notify {
        key: String,
        body: Value,
    },
}

struct Arrival {
    route: Route,
    at: Instant,
    /// Whether it brought the secret.
    secret: bool,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<LeasedJob>,
    /// Jobs that can be claimed, and by which token they were.
    claimable: HashMap<i64, (LeasedJob, Option<String>)>,
    photos: HashMap<i64, Vec<u8>>,
    calls: Vec<Call>,
    /// Every call, done or not.
    arrived: Vec<Arrival>,
    faults: HashMap<Route, VecDeque<Fault>>,
}

#[derive(Clone, Default)]
struct Shared {
    inner: Arc<Mutex<Inner>>,
    queued: Arc<Notify>,
    called: Arc<Notify>,
    /// How many requests wait for jobs.
    asking: watch::Sender<usize>,
}

/// Counts a request for jobs while it waits, which ends too when its caller goes.
struct Asking(Shared);

impl Asking {
    fn new(shared: &Shared) -> Self {
        shared.asking.send_modify(|asking| *asking += 1);
        Self(shared.clone())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.asking.send_modify(|asking| *asking -= 1);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn record(&self, call: Call) {
        self.lock().calls.push(call);
        self.called.notify_waiters();
    }
}

/// The server; it ends when it is dropped.
pub(crate) struct Hub {
    pub(crate) port: u16,
    shared: Shared,
    server: JoinSet<()>,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        // No other test gets this port while the hub is down for a moment.
        let port = private_services::free_port().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let mut hub = Self {
            port,
            shared: Shared::default(),
            server: JoinSet::new(),
        };
        hub.serve(listener);
        hub
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = Router::new()
            .route("/internal/jobs/lease", post(lease))
            .route("/internal/ping", get(async || StatusCode::NO_CONTENT))
            .route("/internal/jobs/{id}/claim", post(claim))
            .route("/internal/jobs/result", post(outside_result))
            .route("/internal/jobs/{id}/heartbeat", post(heartbeat))
            .route("/internal/jobs/{id}/retry", post(retry))
            .route("/internal/analyses/{id}/image", get(photo))
            .route("/internal/analyses/{id}/overlay", put(overlay))
            .route("/internal/notify", post(notify))
            .layer(middleware::from_fn_with_state(self.shared.clone(), fail))
            .layer(axum::extract::DefaultBodyLimit::max(20 << 20))
            .with_state(self.shared.clone());
        self.server
            .spawn(async move { axum::serve(listener, router).await.unwrap() });
    }

    /// Cuts all connections and stops listening, as a killed process does.
    pub(crate) async fn kill(&mut self) {
        self.server.shutdown().await;
    }

    /// Listens again where it did.
    pub(crate) async fn revive(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.serve(listener);
    }

    /// Queues a job with an uploaded photo.
    pub(crate) fn queue(&self, job_id: i64, photo: Vec<u8>) {
        self.queue_job(job(job_id), photo);
    }

    pub(crate) fn queue_job(&self, job: LeasedJob, photo: Vec<u8>) {
        let mut inner = self.shared.lock();
        inner.photos.insert(job.analysis_id, photo);
        inner.queue.push_back(job);
        drop(inner);
        self.shared.queued.notify_one();
    }

    /// A job that a broker's message may name, with an uploaded photo.
    pub(crate) fn claimable(&self, job_id: i64, photo: Vec<u8>) {
        let job = job(job_id);
        let mut inner = self.shared.lock();
        inner.photos.insert(job.analysis_id, photo);
        inner.claimable.insert(job_id, (job, None));
    }

    /// The tokens by which `job_id` was claimed, one a call.
    pub(crate) fn claims(&self, job_id: i64) -> Vec<String> {
        let of = |call: &Call| match call {
            Call::Claim(job, request) if *job == job_id => Some(request.token.clone()),
            _ => None,
        };
        self.calls().iter().filter_map(of).collect()
    }

    /// The next calls of `route` fail like this, one fault a call.
    pub(crate) fn fail(&self, route: Route, faults: impl IntoIterator<Item = Fault>) {
        self.shared
            .lock()
            .faults
            .entry(route)
            .or_default()
            .extend(faults);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// How often `route` was called, failed calls included.
    pub(crate) fn arrived(&self, route: Route) -> usize {
        self.times_of(route).len()
    }

    /// When each call of `route` came, failed calls included.
    pub(crate) fn times_of(&self, route: Route) -> Vec<Instant> {
        let inner = self.shared.lock();
        let of = inner.arrived.iter().filter(|call| call.route == route);
        of.map(|call| call.at).collect()
    }

    /// Whether each call brought the secret.
    pub(crate) fn every_call_had_the_secret(&self) -> bool {
        let inner = self.shared.lock();
        inner.arrived.iter().all(|call| call.secret)
    }

    /// Waits until `pick` finds something among the calls.
    pub(crate) async fn until<T>(&self, what: &str, pick: impl Fn(&[Call]) -> Option<T>) -> T {
        let found = timeout(PATIENCE, async {
            loop {
                let called = self.shared.called.notified();
                tokio::pin!(called);
                called.as_mut().enable();
                if let Some(found) = pick(&self.calls()) {
                    return found;
                }
                called.await;
            }
        });
        found
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {what}: {:#?}", self.calls()))
    }

    /// Waits until `count` requests wait for jobs.
    pub(crate) async fn until_asked_by(&self, count: usize) {
        let mut asking = self.shared.asking.subscribe();
        let there = timeout(PATIENCE, asking.wait_for(|asking| *asking == count)).await;
        there
            .expect("the requests for jobs are not so many")
            .unwrap();
    }

    /// The body of the result that is posted for `job_id`.
    pub(crate) async fn notified(&self, job_id: i64) -> Value {
        self.until("a result", |calls| {
            notifications(calls, job_id).into_iter().next()
        })
        .await
    }

    /// How `job_id` is given back.
    pub(crate) async fn given_back(&self, job_id: i64) -> RetryRequest {
        self.until("a job given back", |calls| {
            calls.iter().find_map(|call| match call {
                Call::Retry(job, request) if *job == job_id => Some(request.clone()),
                _ => None,
            })
        })
        .await
    }
}

/// The results that were posted for `job_id`.
pub(crate) fn notifications(calls: &[Call], job_id: i64) -> Vec<Value> {
    let of = |call: &Call| match call {
        Call::Notify { body, .. } if body["attempt"]["jobId"] == job_id => Some(body.clone()),
        _ => None,
    };
    calls.iter().filter_map(of).collect()
}

/// A job as the hub leases it, for the analysis `1000 + job_id` of user 42.
pub(crate) fn job(job_id: i64) -> LeasedJob {
    let analysis_id = 1_000 + job_id;
    LeasedJob {
        job_id,
        token: format!("token-of-{job_id}"),
        attempt: 1,
        max_attempts: 3,
        lease_seconds: 30,
        analysis_id,
        user_id: UserId::from(42),
        crop_type: Some("wheat".to_owned()),
        notes: Some("on the north field".to_owned()),
        image_path: Some(format!("/internal/analyses/{analysis_id}/image")),
        image_url: None,
        image_link: Some(format!("/images/{analysis_id}")),
        idempotency_key: format!("key-of-{job_id}"),
        progress_url: format!("http://hub.example/callbacks/{job_id}/progress?s=1"),
        result_url: format!("http://hub.example/callbacks/{job_id}/result?s=1"),
        reply: None,
        trace_parent: None,
    }
}

async fn fail(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let route = match request.uri().path() {
        "/internal/jobs/lease" => Route::Lease,
        "/internal/notify" => Route::Notify,
        "/internal/ping" => Route::Ping,
        "/internal/jobs/result" => Route::Result,
        path if path.ends_with("/claim") => Route::Claim,
        path if path.ends_with("/heartbeat") => Route::Heartbeat,
        path if path.ends_with("/retry") => Route::Retry,
        path if path.ends_with("/image") => Route::Photo,
        _ => Route::Overlay,
    };
    let secret = request
        .headers()
        .get("x-internal-secret")
        .is_some_and(|given| given == SECRET);
    let fault = {
        let mut inner = shared.lock();
        inner.arrived.push(Arrival {
            route,
            at: Instant::now(),
            secret,
        });
        inner.faults.get_mut(&route).and_then(VecDeque::pop_front)
    };
    match fault {
        None => next.run(request).await,
        Some(Fault::AnswerLost) => {
            next.run(request).await;
            // Ends the connection's task, and with it the connection.
            std::panic::resume_unwind(Box::new("the answer is lost"))
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Status(status, retry_after)) => {
            let mut response = problem(StatusCode::from_u16(status).unwrap());
            if let Some(seconds) = retry_after {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            response
        }
        Some(Fault::Edge(status)) => {
            let page = "<html>This service is not available.</html>";
            (StatusCode::from_u16(status).unwrap(), Html(page)).into_response()
        }
    }
}

fn problem(status: StatusCode) -> Response {
    let problem = json!({
        "type": "/problems/test", "title": "as told", "status": status.as_u16(), "errors": [],
    });
    let media_type = [("content-type", PROBLEM_JSON)];
    (status, media_type, problem.to_string()).into_response()
}

async fn lease(State(shared): State<Shared>, Json(request): Json<LeaseRequest>) -> Response {
    let most = request.max_jobs as usize;
    let wait = Duration::from_secs(request.wait_seconds.into());
    let _asking = Asking::new(&shared);
    shared.record(Call::Lease(request));
    let jobs = timeout(wait, async {
        loop {
            let jobs: Vec<LeasedJob> = {
                let mut inner = shared.lock();
                let most = most.min(inner.queue.len());
                inner.queue.drain(..most).collect()
            };
            if !jobs.is_empty() {
                return jobs;
            }
            shared.queued.notified().await;
        }
    });
    Json(json!({ "jobs": jobs.await.unwrap_or_default() })).into_response()
}

async fn claim(
    State(shared): State<Shared>,
    Path(job): Path<i64>,
    Json(request): Json<ClaimRequest>,
) -> Json<ClaimResponse> {
    let token = request.token.clone();
    shared.record(Call::Claim(job, request));
    let without = |outcome| ClaimResponse { outcome, job: None };
    let answer = match shared.lock().claimable.get_mut(&job) {
        None => without(ClaimOutcome::Unknown),
        Some((_, Some(other))) if *other != token => without(ClaimOutcome::Held),
        Some((job, taken)) => {
            *taken = Some(token.clone());
            let job = LeasedJob {
                token,
                ..job.clone()
            };
            ClaimResponse {
                outcome: ClaimOutcome::Claimed,
                job: Some(job),
            }
        }
    };
    Json(answer)
}

async fn outside_result(
    State(shared): State<Shared>,
    Json(result): Json<OutsideResult>,
) -> StatusCode {
    shared.record(Call::Result(result));
    StatusCode::ACCEPTED
}

async fn heartbeat(
    State(shared): State<Shared>,
    Path(job): Path<i64>,
    Json(request): Json<HeartbeatRequest>,
) -> Response {
    shared.record(Call::Heartbeat(job, request));
    Json(json!({ "leaseSeconds": 1 })).into_response()
}

async fn retry(
    State(shared): State<Shared>,
    Path(job): Path<i64>,
    Json(request): Json<RetryRequest>,
) -> Response {
    shared.record(Call::Retry(job, request));
    Json(json!({ "outcome": "scheduled", "retryInSeconds": 2 })).into_response()
}

async fn photo(State(shared): State<Shared>, Path(analysis): Path<i64>) -> Response {
    shared.record(Call::Photo);
    let photo = shared.lock().photos.get(&analysis).cloned();
    photo.map_or_else(
        || problem(StatusCode::NOT_FOUND),
        IntoResponse::into_response,
    )
}

async fn overlay(
    State(shared): State<Shared>,
    Path(analysis): Path<i64>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    shared.record(Call::Overlay {
        analysis,
        token: header(ATTEMPT_TOKEN_HEADER),
        media_type: header("content-type"),
        bytes: body.len(),
    });
    StatusCode::NO_CONTENT
}

async fn notify(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    shared.record(Call::Notify { key, body });
    let answer = json!({ "notificationId": 1, "sequence": 1, "connections": 0 });
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}
