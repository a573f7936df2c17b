//! Reading bodies that others send, and showing them in a log.
//!
//! Owns the cap: it counts unpacked bytes while they come, so that neither a
//! huge body nor a small one that unpacks to a huge one is ever held.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;

/// The longest part of a foreign body that is logged.
const EXCERPT: usize = 1_024;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is longer than the cap.
    #[error("the body is longer than {cap} bytes")]
    TooLong {
        /// The cap.
        cap: usize,
    },
    /// No byte came for too long.
    #[error("the body paused for more than {0:?}")]
    Stalled(Duration),
    /// The connection broke, or the packing is broken.
    #[error("the body ended early: {0}")]
    Broken(String),
}

/// Reads at most `cap` unpacked bytes, with at most `pause` between two pieces.
pub(crate) async fn read(
    mut response: Response,
    cap: usize,
    pause: Duration,
) -> Result<Bytes, BodyError> {
    // Unpacked bodies have no known length here; for the others this saves the download.
    if response
        .content_length()
        .is_some_and(|length| length > cap as u64)
    {
        return Err(BodyError::TooLong { cap });
    }
    let mut body = BytesMut::new();
    loop {
        let piece = tokio::time::timeout(pause, response.chunk())
            .await
            .map_err(|_| BodyError::Stalled(pause))?
            .map_err(|error| BodyError::Broken(describe(error)))?;
        let Some(piece) = piece else {
            return Ok(body.freeze());
        };
        if body.len() + piece.len() > cap {
            return Err(BodyError::TooLong { cap });
        }
        body.extend_from_slice(&piece);
    }
}

/// The beginning of a foreign body, fit for one log line.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let cut = &body[..body.len().min(EXCERPT)];
    let mut text: String = String::from_utf8_lossy(cut)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    // A replacement character takes more bytes than what it stands for.
    let mut end = text.len().min(EXCERPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// An error of the HTTP client with its causes, without the address: it may
/// hold a secret.
pub(crate) fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_one_line() {
        assert_eq!(excerpt(b"<html>\r\n\x1b[31m"), "<html>   [31m");
        assert!(excerpt(&[0xff; 4_096]).len() <= EXCERPT);
        assert!(excerpt("é".repeat(2_000).as_bytes()).len() <= EXCERPT);
    }
}
