//! What surrounds every route: spans, time limits, panics, headers, CORS.

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, RETRY_AFTER,
        STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use tokio::time::{Instant, timeout};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowHeaders, AllowOrigin, CorsLayer},
};
use tracing::{Instrument as _, Span, field::Empty};

use super::{ApiError, problem::Kind, routes::hub_route};
use crate::{
    auth::Entrance,
    config::Config,
    metrics::{Metrics, UNMATCHED},
};
use telemetry::trace::{self, TraceParent};

const PREFLIGHT_KEPT: Duration = Duration::from_secs(60 * 60);

/// Puts `router` into everything that surrounds a route, from the inside out.
pub(super) fn surround(router: Router, config: &Config, metrics: &Arc<Metrics>) -> Router {
    let secure = config
        .public_url
        .as_deref()
        .is_some_and(|url| url.starts_with("https:"));
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(secure, headers))
        .layer(middleware::from_fn_with_state(Arc::clone(metrics), span))
}

/// CORS for the public routes: exact origins, with credentials.
pub(super) fn cors(entrance: &Arc<Entrance>) -> CorsLayer {
    let entrance = Arc::clone(entrance);
    let allowed = move |origin: &HeaderValue, _: &_| entrance.origins.allows(origin);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        // With credentials a wildcard is not allowed (Fetch standard, section 3.3.2).
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([LOCATION, RETRY_AFTER])
        .max_age(PREFLIGHT_KEPT)
}

/// Answers 408 where a handler is not done within `limit`: what is slow then
/// is the sender of the body, for everything behind a handler has its own limit.
pub(super) async fn time_limit(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    match timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(Kind::TIMEOUT, "The request did not come in time.").into_response(),
    }
}

/// A span for each request. Of the address it holds the route only: queries
/// hold tokens and signatures, and clients' addresses are nobody's business.
async fn span(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let hub = hub_route(request.uri().path()).unwrap_or(UNMATCHED);
    let method = request.method().clone();
    let route = matched.as_ref().map_or(hub, MatchedPath::as_str);
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
        take_over(&span, &method, route, request.headers());
    }
    let start = Instant::now();
    async move {
        let response = next.run(request).await;
        let route = matched.as_ref().map_or(hub, MatchedPath::as_str);
        let took = start.elapsed();
        metrics
            .requests()
            .answered(&method, route, response.status(), took);
        tracing::debug!(
            status = response.status().as_u16(),
            elapsed_ms = took.as_secs_f64() * 1e3,
            "answered"
        );
        response
    }
    .instrument(span)
    .await
}

/// Makes the span a part of the caller's trace, or the first of its own.
fn take_over(span: &Span, method: &Method, route: &str, headers: &HeaderMap) {
    span.record("otel.name", format!("{method} {route}"));
    span.record("otel.kind", "server");
    trace::adopt(span, TraceParent::of_headers(headers));
    if let Some(own) = TraceParent::of(span) {
        span.record("trace_id", own.trace_id());
    }
}

/// Headers for every answer; a handler that sets one itself knows better.
async fn headers(State(secure): State<bool>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(X_FRAME_OPTIONS, "DENY");
    set(REFERRER_POLICY, "no-referrer");
    set(
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    set(CACHE_CONTROL, "no-store");
    if secure {
        set(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}

fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("of unknown kind");
    ApiError::internal(format!("panic: {text}"), "answer a request").into_response()
}

/// What no route serves.
pub(super) async fn not_found() -> ApiError {
    ApiError::new(
        Kind::NOT_FOUND,
        "No such path. /openapi.json lists what there is.",
    )
}

/// What a route does not do.
pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::new(Kind::METHOD, "See the Allow header, or /openapi.json.")
}
