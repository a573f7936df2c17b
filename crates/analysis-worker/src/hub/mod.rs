//! The internal link to the hub: one method a route.
//!
//! Owns the shared secret, the breaker and what each status means. Never
//! decides whether a call is repeated ([`until_settled`] does, where the caller
//! wants it), and never logs the secret or an attempt's token.

mod breaker;
mod error;
mod persist;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{RequestBuilder, Response, Url, redirect};
use secrecy::ExposeSecret as _;
use serde::{Serialize, de::DeserializeOwned};
use shared_dto::{
    jobs::{
        ATTEMPT_TOKEN_HEADER, HeartbeatRequest, HeartbeatResponse, LeaseRequest, LeaseResponse,
        LeasedJob, RetryRequest, RetryResponse,
    },
    notify::INTERNAL_SECRET_HEADER,
    problem::{PROBLEM_JSON, Problem},
    queue::{ClaimRequest, ClaimResponse, OutsideResult},
};
use telemetry::trace;

pub(crate) use self::breaker::BreakerState;
pub(crate) use self::error::HubError;
pub(crate) use self::persist::{Unsettled, until_settled};

use self::breaker::Breaker;
use crate::{
    body::{self, BodyError},
    config::HubConfig,
    metrics::Figures,
};

/// A claim's answer holds one job, at most with the reply of an outside analyser.
const LONGEST_CLAIM: usize = 8 * 1_024 * 1_024;

/// Answers of the hub, but for photos, are short.
const LONGEST_ANSWER: usize = 64 * 1_024;

/// A lease answer holds jobs, each with the reply of an outside analyser at most.
const LONGEST_LEASE: usize = 128 * 1_024 * 1_024;

/// A heartbeat is answered within this time, or another one is better: a lease
/// must not end while one hangs.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Why there can be no link at all.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A needed setting is missing; the checks at start refuse that before.
    #[error("the hub's address or secret is not set")]
    Incomplete,
    /// The secret cannot be sent.
    #[error("the internal secret cannot stand in an HTTP header")]
    Secret,
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
}

/// The hub, as the worker sees it.
#[derive(Debug)]
pub(crate) struct Hub {
    http: reqwest::Client,
    base: Url,
    timeout: Duration,
    breaker: Breaker,
    figures: Arc<Figures>,
    started: Instant,
    /// Milliseconds after `started` of the last good answer, plus one; 0 for never.
    last_answer: AtomicU64,
}

impl Hub {
    pub(crate) fn new(config: &HubConfig) -> Result<Self, LinkError> {
        let (Some(address), Some(secret)) = (&config.base_url, &config.secret) else {
            return Err(LinkError::Incomplete);
        };
        let mut secret =
            HeaderValue::from_str(secret.expose_secret()).map_err(|_| LinkError::Secret)?;
        secret.set_sensitive(true);
        let http = reqwest::Client::builder()
            .user_agent(crate::USER_AGENT)
            .default_headers(HeaderMap::from_iter([(
                header::HeaderName::from_static(INTERNAL_SECRET_HEADER),
                secret,
            )]))
            // The secret goes to the hub only, and by no proxy.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(config.timeout.min(Duration::from_secs(10)))
            .build()
            .map_err(LinkError::Client)?;
        Ok(Self {
            http,
            base: address.url().clone(),
            timeout: config.timeout,
            breaker: Breaker::new(config.breaker_failures, config.breaker_pause),
            figures: Arc::default(),
            started: Instant::now(),
            last_answer: AtomicU64::new(0),
        })
    }

    /// What is counted of this worker.
    pub(crate) fn figures(&self) -> &Arc<Figures> {
        &self.figures
    }

    /// Takes jobs; waits at the hub as long as `request` says.
    pub(crate) async fn lease(&self, request: &LeaseRequest) -> Result<Vec<LeasedJob>, HubError> {
        let timeout = self.timeout + Duration::from_secs(request.wait_seconds.into());
        let call = self.post("/internal/jobs/lease", request);
        let answer = self.exchange_untimed(call, timeout, LONGEST_LEASE).await;
        self.figures.called_hub(answer.as_ref().err(), None);
        let answer: LeaseResponse = parse(&answer?)?;
        Ok(answer.jobs)
    }

    /// Whether the hub is there and takes the secret.
    pub(crate) async fn ping(&self) -> Result<(), HubError> {
        let call = self.http.get(self.at("/internal/ping"));
        self.exchange(call, self.timeout, LONGEST_ANSWER)
            .await
            .map(drop)
    }

    /// Takes the one job that a broker brought.
    pub(crate) async fn claim(
        &self,
        job_id: i64,
        request: &ClaimRequest,
    ) -> Result<ClaimResponse, HubError> {
        let call = self.post(&format!("/internal/jobs/{job_id}/claim"), request);
        parse(&self.exchange(call, self.timeout, LONGEST_CLAIM).await?)
    }

    /// Brings an outside analyser's answer that came over the result queue.
    pub(crate) async fn outside_result(&self, result: &OutsideResult) -> Result<(), HubError> {
        let call = self.post("/internal/jobs/result", result);
        self.exchange(call, self.timeout, LONGEST_ANSWER)
            .await
            .map(drop)
    }

    /// Keeps a lease alive.
    pub(crate) async fn heartbeat(
        &self,
        job_id: i64,
        request: &HeartbeatRequest,
    ) -> Result<HeartbeatResponse, HubError> {
        let call = self.post(&format!("/internal/jobs/{job_id}/heartbeat"), request);
        parse(
            &self
                .exchange(call, self.timeout.min(HEARTBEAT), LONGEST_ANSWER)
                .await?,
        )
    }

    /// Gives an attempt back.
    pub(crate) async fn retry(
        &self,
        job_id: i64,
        request: &RetryRequest,
    ) -> Result<RetryResponse, HubError> {
        let call = self.post(&format!("/internal/jobs/{job_id}/retry"), request);
        parse(&self.exchange(call, self.timeout, LONGEST_ANSWER).await?)
    }

    /// Posts an outcome. Any good status means that the hub has it, whatever the body.
    pub(crate) async fn notify(&self, key: &str, body: Bytes) -> Result<(), HubError> {
        let call = self
            .http
            .post(self.at("/internal/notify"))
            .header("idempotency-key", key)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        self.exchange(call, self.timeout, LONGEST_ANSWER)
            .await
            .map(drop)
    }

    /// Fetches the photo at a path that a job names.
    pub(crate) async fn photo(&self, path: &str, cap: usize) -> Result<Bytes, HubError> {
        if !path.starts_with('/') {
            return Err(HubError::Unreadable(format!(
                "no path of a photo: {path:?}"
            )));
        }
        self.exchange(self.http.get(self.at(path)), self.timeout, cap)
            .await
    }

    /// Keeps the overlay picture of a job's analysis.
    pub(crate) async fn put_overlay(
        &self,
        job: &LeasedJob,
        media_type: &'static str,
        bytes: Bytes,
    ) -> Result<(), HubError> {
        let call = self
            .http
            .put(self.at(&format!("/internal/analyses/{}/overlay", job.analysis_id)))
            .header(ATTEMPT_TOKEN_HEADER, &job.token)
            .header(header::CONTENT_TYPE, media_type)
            .body(bytes);
        self.exchange(call, self.timeout, LONGEST_ANSWER)
            .await
            .map(drop)
    }

    pub(crate) fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// How long ago the hub answered well.
    pub(crate) fn since_last_answer(&self) -> Option<Duration> {
        let stored = self.last_answer.load(Ordering::Relaxed).checked_sub(1)?;
        Some(
            self.started
                .elapsed()
                .saturating_sub(Duration::from_millis(stored)),
        )
    }

    fn post(&self, path: &str, body: &impl Serialize) -> RequestBuilder {
        self.http.post(self.at(path)).json(body)
    }

    /// The address of a path; host and port stay the hub's whatever `path` holds.
    fn at(&self, path: &str) -> Url {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }

    async fn exchange(
        &self,
        call: RequestBuilder,
        timeout: Duration,
        cap: usize,
    ) -> Result<Bytes, HubError> {
        let began = Instant::now();
        let answer = self.exchange_untimed(call, timeout, cap).await;
        let stopped = matches!(answer, Err(HubError::BreakerOpen { .. }));
        let took = (!stopped).then(|| began.elapsed());
        self.figures.called_hub(answer.as_ref().err(), took);
        answer
    }

    async fn exchange_untimed(
        &self,
        call: RequestBuilder,
        timeout: Duration,
        cap: usize,
    ) -> Result<Bytes, HubError> {
        let permit = self
            .breaker
            .permit(Instant::now())
            .map_err(|retry_in| HubError::BreakerOpen { retry_in })?;
        let outcome = tokio::time::timeout(timeout, self.call(call, timeout, cap))
            .await
            .unwrap_or_else(|_| Err(HubError::Unreachable(format!("no answer in {timeout:?}"))));
        let out_of_order = match &outcome {
            Err(HubError::Unreachable(_)) => true,
            Err(HubError::Unavailable { status, .. }) => !matches!(
                *status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
            ),
            _ => false,
        };
        if out_of_order {
            permit.failed(Instant::now());
        } else {
            permit.succeeded();
            let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
            self.last_answer.store(now + 1, Ordering::Relaxed);
        }
        outcome
    }

    async fn call(
        &self,
        call: RequestBuilder,
        pause: Duration,
        cap: usize,
    ) -> Result<Bytes, HubError> {
        let response = traced(call)
            .send()
            .await
            .map_err(|error| HubError::Unreachable(body::describe(error)))?;
        if response.status().is_success() {
            return body::read(response, cap, pause)
                .await
                .map_err(|error| match error {
                    BodyError::TooLong { .. } => HubError::TooLong(error),
                    _ => HubError::Unreachable(error.to_string()),
                });
        }
        Err(refusal(response, pause).await)
    }
}

/// Tells whoever is called of the span that calls.
pub(crate) fn traced(call: RequestBuilder) -> RequestBuilder {
    if !trace::is_on() {
        return call;
    }
    let mut headers = HeaderMap::new();
    trace::hand_on(&mut headers);
    call.headers(headers)
}

/// What a status that is not good means.
async fn refusal(response: Response, pause: Duration) -> HubError {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let by_the_hub = is_problem(response.headers());
    let body = body::read(response, LONGEST_ANSWER, pause)
        .await
        .unwrap_or_default();
    let detail = match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => body::excerpt(problem.detail.unwrap_or(problem.title).as_bytes()),
        Err(_) => body::excerpt(&body[..body.len().min(200)]),
    };
    let for_now = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
    );
    match status {
        _ if for_now || status.is_server_error() || !by_the_hub => HubError::Unavailable {
            status,
            detail,
            retry_after,
        },
        StatusCode::CONFLICT => HubError::Stale,
        _ => HubError::Refused { status, detail },
    }
}

/// Whether a refusal is the hub's own: all of them are problems (RFC 9457).
/// What a proxy on the way says while the hub is away decides nothing.
fn is_problem(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split(';').next());
    media_type.is_some_and(|text| text.trim().eq_ignore_ascii_case(PROBLEM_JSON))
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3), an hour at most. Its other
/// form, a date, needs both clocks to agree and is not read.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds.min(3_600)))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, HubError> {
    serde_json::from_slice(body).map_err(|error| HubError::Unreadable(error.to_string()))
}
