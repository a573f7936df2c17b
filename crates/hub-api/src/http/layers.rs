//! What stands before a part of the routes: CORS, limits of time, and what is
//! answered where no route is.

use std::{convert::Infallible, sync::Arc, task::Poll, time::Duration};

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use futures_util::{FutureExt as _, future::Map};
use http::{
    HeaderValue, Method,
    header::{LOCATION, RETRY_AFTER},
};
use tokio::time::{Timeout, error::Elapsed, timeout};
use tower::{Layer, Service};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::{ApiError, problem::Kind};
use crate::auth::Entrance;

const PREFLIGHT_KEPT: Duration = Duration::from_secs(60 * 60);

/// CORS for the public routes: exact origins, with credentials.
pub(super) fn cors(entrance: &Arc<Entrance>) -> CorsLayer {
    let entrance = Arc::clone(entrance);
    let allowed = move |origin: &HeaderValue, _: &_| entrance.origins.allows(origin);
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_credentials(true)
        .allow_methods(methods)
        // With credentials a wildcard is not allowed (Fetch standard, section 3.3.2).
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([LOCATION, RETRY_AFTER])
        .max_age(PREFLIGHT_KEPT)
}

/// Answers 408 where a handler is not done in time: what is slow then is the
/// sender of the body, for everything behind a handler has its own limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimit(pub(super) Duration);

impl<S> Layer<S> for TimeLimit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited {
            inner,
            limit: self.0,
        }
    }
}

/// What [`TimeLimit`] makes.
#[derive(Debug, Clone)]
pub(super) struct Limited<S> {
    inner: S,
    limit: Duration,
}

type InTime = Result<Result<Response, Infallible>, Elapsed>;

impl<S> Service<Request> for Limited<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Map<Timeout<S::Future>, fn(InTime) -> Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        timeout(self.limit, self.inner.call(request)).map(|answered| match answered {
            Ok(answer) => answer,
            Err(_) => {
                let late = ApiError::new(Kind::TIMEOUT, "The request did not come in time.");
                Ok(late.into_response())
            }
        })
    }
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
