//! Reads request bodies within limits: of bytes, refused from
//! `Content-Length` before anything is read, and of time between two pieces.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::problem::{ApiError, Kind};

/// How much of a body is read, and how long a pause in it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) idle: Duration,
}

/// Refuses a body that says itself that it is too long.
pub(crate) fn check_length(headers: &HeaderMap, limit: usize) -> Result<(), ApiError> {
    let told = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    match told.and_then(|text| text.parse::<u64>().ok()) {
        Some(length) if length > limit as u64 => Err(ApiError::too_large("body", limit)),
        _ => Ok(()),
    }
}

/// The whole body.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    bounds: Bounds,
) -> Result<Bytes, ApiError> {
    check_length(headers, bounds.bytes)?;
    let mut whole = Bytes::new();
    let mut grown = BytesMut::new();
    while let Some(piece) = next(&mut body, bounds.idle).await? {
        if whole.len() + grown.len() + piece.len() > bounds.bytes {
            return Err(ApiError::too_large("body", bounds.bytes));
        }
        // Most bodies come in one piece, which is kept as it is.
        if whole.is_empty() && grown.is_empty() {
            whole = piece;
            continue;
        }
        grown.extend_from_slice(&std::mem::take(&mut whole));
        grown.extend_from_slice(&piece);
    }
    Ok(if grown.is_empty() {
        whole
    } else {
        grown.freeze()
    })
}

/// The next piece of the body.
pub(crate) async fn next(body: &mut Body, idle: Duration) -> Result<Option<Bytes>, ApiError> {
    loop {
        match timeout(idle, body.frame()).await {
            Err(_) => return Err(stalled()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(broken(&error)),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The sender paused for too long.
pub(crate) fn stalled() -> ApiError {
    ApiError::new(Kind::TIMEOUT, "The body stopped coming.")
}

fn broken(error: &axum::Error) -> ApiError {
    tracing::debug!(%error, "a request body broke off");
    ApiError::new(Kind::INVALID_REQUEST, "The body broke off before its end.")
}
