//! What surrounds every route: its span, the count of its answers, the headers
//! that all have, and an answer where code panicked.
//!
//! It is one service, made by hand. A middleware for each of these would cost
//! every request several allocations, and internal calls are the hot path.

use std::{
    any::Any,
    convert::Infallible,
    future::{Future, Ready, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    extract::{MatchedPath, Request},
    response::{IntoResponse as _, Response},
};
use futures_util::{
    FutureExt as _,
    future::{CatchUnwind, Either},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, field::Empty, instrument::Instrumented};

use super::{ApiError, routes::hub_route};
use crate::{
    config::Config,
    metrics::{Metrics, UNMATCHED},
};
use telemetry::trace::{self, TraceParent};

/// Headers of every answer; a handler that sets one itself knows better.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Puts each route into a [`Surround`].
#[derive(Debug, Clone)]
pub(super) struct SurroundLayer {
    metrics: Arc<Metrics>,
    /// Clients come by HTTPS.
    secure: bool,
}

impl SurroundLayer {
    pub(super) fn new(config: &Config, metrics: &Arc<Metrics>) -> Self {
        let url = config.public_url.as_deref();
        Self {
            metrics: Arc::clone(metrics),
            secure: url.is_some_and(|url| url.starts_with("https:")),
        }
    }
}

impl<S> Layer<S> for SurroundLayer {
    type Service = Surround<S>;

    fn layer(&self, inner: S) -> Surround<S> {
        Surround {
            inner,
            around: self.clone(),
        }
    }
}

/// A route and what surrounds it.
#[derive(Debug, Clone)]
pub(super) struct Surround<S> {
    inner: S,
    around: SurroundLayer,
}

impl<S> Service<Request> for Surround<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Answering<S::Future> {
        let what = What {
            method: request.method().clone(),
            matched: request.extensions().get::<MatchedPath>().cloned(),
            hub: hub_route(request.uri().path()),
            start: Instant::now(),
        };
        let span = what.span(request.headers());
        let inner = &mut self.inner;
        let called = span.in_scope(|| catch_unwind(AssertUnwindSafe(|| inner.call(request))));
        let answer = match called {
            Ok(answer) => Either::Left(AssertUnwindSafe(answer).catch_unwind()),
            Err(panic) => Either::Right(ready(Err(panic))),
        };
        Answering {
            answer: answer.instrument(span),
            what,
            around: self.around.clone(),
        }
    }
}

/// What is asked for, as far as spans and counts may know: of the address the
/// route only, for queries hold tokens and signatures.
#[derive(Debug)]
struct What {
    method: Method,
    matched: Option<MatchedPath>,
    hub: Option<&'static str>,
    start: Instant,
}

impl What {
    fn route(&self) -> &str {
        let matched = self.matched.as_ref().map(MatchedPath::as_str);
        matched.or(self.hub).unwrap_or(UNMATCHED)
    }

    /// A span for the request, a part of the caller's trace where there is one.
    fn span(&self, headers: &HeaderMap) -> Span {
        let (method, route) = (&self.method, self.route());
        let span = tracing::info_span!(
            "http",
            %method,
            route,
            user = Empty,
            analysis = Empty,
            trace_id = Empty,
            otel.name = Empty,
            otel.kind = Empty,
        );
        if trace::is_on() {
            span.record("otel.name", format!("{method} {route}"));
            span.record("otel.kind", "server");
            trace::adopt(&span, TraceParent::of_headers(headers));
            if let Some(own) = TraceParent::of(&span) {
                span.record("trace_id", own.trace_id());
            }
        }
        span
    }
}

type Panic = Box<dyn Any + Send>;
/// The answer of a route, or with what it panicked: at once or later.
type Guarded<F> =
    Either<CatchUnwind<AssertUnwindSafe<F>>, Ready<Result<Result<Response, Infallible>, Panic>>>;

pin_project! {
    /// The answer of a route in the making.
    #[derive(Debug)]
    pub(super) struct Answering<F> {
        #[pin]
        answer: Instrumented<Guarded<F>>,
        what: What,
        around: SurroundLayer,
    }
}

impl<F> Future for Answering<F>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let answered = std::task::ready!(this.answer.as_mut().poll(cx));
        let span = this.answer.as_ref().get_ref().span();
        let mut response = span.in_scope(|| match answered {
            Ok(Ok(response)) => response,
            Err(panic) => panicked(&*panic).into_response(),
        });
        complete(response.headers_mut(), this.around.secure);
        let took = this.what.start.elapsed();
        let (method, route) = (&this.what.method, this.what.route());
        let requests = this.around.metrics.requests();
        requests.answered(method, route, response.status(), took);
        span.in_scope(|| {
            tracing::debug!(
                status = response.status().as_u16(),
                elapsed_ms = took.as_secs_f64() * 1e3,
                "answered"
            );
        });
        Poll::Ready(Ok(response))
    }
}

fn complete(headers: &mut HeaderMap, secure: bool) {
    headers.reserve(HEADERS.len() + 1);
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    if secure {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(year);
    }
}

fn panicked(panic: &(dyn Any + Send)) -> ApiError {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("of unknown kind");
    ApiError::internal(format!("panic: {text}"), "answer a request")
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    async fn breaks() -> Response {
        panic!("a defect");
    }

    async fn answer(secure: bool, path: &str) -> Response {
        let around = SurroundLayer {
            metrics: Arc::new(Metrics::default()),
            secure,
        };
        let own = || async { [(CACHE_CONTROL, "max-age=5")] };
        let router = Router::new()
            .route("/", get(own))
            .route("/breaks", get(breaks))
            .layer(around);
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn every_answer_has_the_headers_and_a_handlers_own_stay() {
        let answer = answer(true, "/").await;
        assert_eq!(answer.headers()[CACHE_CONTROL], "max-age=5");
        assert_eq!(answer.headers()[X_FRAME_OPTIONS], "DENY");
        assert_eq!(
            answer.headers()[STRICT_TRANSPORT_SECURITY],
            "max-age=31536000"
        );
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_like_others() {
        let answer = answer(false, "/breaks").await;
        assert_eq!(answer.status(), 500);
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
        assert!(!answer.headers().contains_key(STRICT_TRANSPORT_SECURITY));
    }
}
