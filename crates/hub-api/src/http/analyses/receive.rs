//! Receives an upload, as multipart or JSON, within its limits.

use std::time::Duration;

use axum::extract::Request;
use http::{HeaderMap, header::CONTENT_TYPE};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{json_upload::from_json, multipart_upload::from_multipart, photo::Source};
use crate::http::{ApiError, AppState, json::is_json, memory::Share, problem::Kind};

const LONGEST_CROP_TYPE: usize = 100;
pub(super) const LONGEST_NOTES: usize = 2000;

/// An upload as multipart.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "it documents the form; fields are read one by one as they come"
)]
pub(crate) struct UploadForm {
    /// The photo: JPEG, PNG or WebP.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// What grows there.
    #[schema(max_length = 100)]
    crop_type: Option<String>,
    /// Anything that helps.
    #[schema(max_length = 2000)]
    notes: Option<String>,
}

/// An upload as JSON: with either `image` or `imageUrl`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadJson {
    /// The photo in base64, or as a data URL in base64.
    pub(super) image: Option<String>,
    /// Where the worker fetches the photo: https, on a host that the operator allows.
    pub(super) image_url: Option<String>,
    /// What grows there.
    #[schema(max_length = 100)]
    pub(super) crop_type: Option<String>,
    /// Anything that helps.
    #[schema(max_length = 2000)]
    pub(super) notes: Option<String>,
}

/// An upload that was received whole.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) source: Source,
    pub(super) crop_type: Option<String>,
    pub(super) notes: Option<String>,
    /// Held until the upload is done with.
    _memory: Share,
}

/// The limits that one upload is received within.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) photo: usize,
    pub(super) idle: Duration,
}

pub(super) async fn receive(state: &AppState, request: Request) -> Result<Upload, ApiError> {
    let limits = Limits {
        photo: state.config.upload.max_bytes,
        idle: state.config.server.body_idle_timeout,
    };
    let memory = state.upload_memory.share();
    if is_json(request.headers()) {
        return from_json(state, request, limits, memory).await;
    }
    if is_multipart(request.headers()) {
        return from_multipart(request, limits, memory).await;
    }
    Err(ApiError::field(
        Kind::MEDIA_TYPE,
        "Content-Type",
        "the body is neither multipart nor JSON",
        "multipart/form-data or application/json",
    ))
}

fn is_multipart(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.to_ascii_lowercase().starts_with("multipart/form-data"))
}

pub(super) fn finish(
    source: Source,
    crop_type: Option<String>,
    notes: Option<String>,
    memory: Share,
) -> Result<Upload, ApiError> {
    let crop_type = text("cropType", crop_type, LONGEST_CROP_TYPE)?;
    let notes = text("notes", notes, LONGEST_NOTES)?;
    Ok(Upload {
        source,
        crop_type,
        notes,
        _memory: memory,
    })
}

/// A text for people: stored as it is, or refused. Empty is absent.
fn text(
    field: &'static str,
    value: Option<String>,
    longest: usize,
) -> Result<Option<String>, ApiError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let accepted = || format!("at most {longest} characters without control characters");
    if value.chars().count() > longest {
        return Err(ApiError::invalid(field, "it is too long", accepted()));
    }
    let breaks = |c: char| field == "notes" && matches!(c, '\n' | '\r' | '\t');
    if value.chars().any(|c| c.is_control() && !breaks(c)) {
        return Err(ApiError::invalid(
            field,
            "it holds a control character",
            accepted(),
        ));
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_exactly_or_refused() {
        let notes = |value: &str| text("notes", Some(value.to_owned()), LONGEST_NOTES);
        for kept in ["a\nb", "e\u{301}", "\u{202e}rtl", "🌾", &"ä".repeat(2000)] {
            assert_eq!(notes(kept).unwrap().as_deref(), Some(kept));
        }
        for refused in ["a\0b", "\u{1b}[31m", &"a".repeat(2001)] {
            assert_eq!(notes(refused).unwrap_err().status(), 400);
        }
        assert_eq!(notes("").unwrap(), None);
        assert!(text("cropType", Some("a\nb".to_owned()), 100).is_err());
    }
}
