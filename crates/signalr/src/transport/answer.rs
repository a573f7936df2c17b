//! Answers in the shape of ASP.NET Core's.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;

const TEXT_PLAIN: HeaderValue = HeaderValue::from_static("text/plain");

pub(super) const NO_CONNECTION: &str = "No Connection with that ID";
pub(super) const ID_REQUIRED: &str = "Connection ID required";
pub(super) const TRANSPORT_FIXED: &str = "Cannot change transports mid-connection";

/// A body of unknown length: ASP.NET Core sends its error texts chunked, and
/// some proxies and tests look at that.
struct Chunked(Option<Bytes>);

impl http_body::Body for Chunked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|text| Ok(Frame::data(text))))
    }
}

/// A text, as `text/plain`; an empty one has a length.
pub(super) fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let body = match text {
        "" => Body::empty(),
        text => Body::new(Chunked(Some(Bytes::from_static(text.as_bytes())))),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, TEXT_PLAIN);
    response
}

/// Neither body nor type.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The transport is not offered here.
pub(super) fn not_offered(kind: super::TransportKind) -> Response<Body> {
    let text_of = match kind {
        super::TransportKind::WebSockets => {
            "WebSockets transport not supported by this end point type"
        }
        super::TransportKind::ServerSentEvents => {
            "ServerSentEvents transport not supported by this end point type"
        }
        super::TransportKind::LongPolling => {
            "LongPolling transport not supported by this end point type"
        }
    };
    text(StatusCode::NOT_FOUND, text_of)
}

/// The server goes away: another node, or this one in a moment, will do.
pub(super) fn leaving() -> Response<Body> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "");
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Polls must not be cached.
pub(super) fn uncached(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store"),
    );
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::EXPIRES,
        HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"),
    );
    response
}
