//! Receives an upload, as multipart or JSON, within its limits.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest as _, Multipart, Request, multipart::Field},
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::CONTENT_TYPE};
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::photo::{self, Source};
use crate::http::{
    ApiError, AppState, body,
    json::{self, is_json},
    memory::Share,
    problem::Kind,
};

/// What a multipart body may hold beside the photo.
const MULTIPART_EXTRA: usize = 64 * 1024;
/// What a JSON body may hold beside the photo.
const JSON_EXTRA: usize = 64 * 1024;
const LONGEST_CROP_TYPE: usize = 100;
const LONGEST_NOTES: usize = 2000;
/// No text field needs more bytes than this.
const LONGEST_TEXT_FIELD: usize = 4 * LONGEST_NOTES;
const MOST_FIELDS: usize = 16;
const ACCEPTED_FIELDS: &str = "image, cropType, notes";

/// Clients write base64 with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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
    image: Option<String>,
    /// Where the worker fetches the photo: https, on a host that the operator allows.
    image_url: Option<String>,
    /// What grows there.
    #[schema(max_length = 100)]
    crop_type: Option<String>,
    /// Anything that helps.
    #[schema(max_length = 2000)]
    notes: Option<String>,
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
struct Limits {
    photo: usize,
    idle: Duration,
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

async fn from_multipart(
    request: Request,
    limits: Limits,
    mut memory: Share,
) -> Result<Upload, ApiError> {
    body::check_length(request.headers(), limits.photo + MULTIPART_EXTRA)
        .map_err(|_| ApiError::too_large("image", limits.photo))?;
    // axum's own limit would end the body in the middle of a field without a word.
    let (mut parts, inner) = request.into_parts();
    parts
        .extensions
        .insert(axum::extract::DefaultBodyLimit::disable());
    let limited = http_body_util::Limited::new(inner, limits.photo + MULTIPART_EXTRA);
    let request = Request::from_parts(parts, Body::new(limited));
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| malformed(&error.body_text()))?;
    let (mut image, mut crop_type, mut notes) = (None, None, None);
    let mut count = 0;
    while let Some(mut field) = next_field(&mut form, limits).await? {
        count += 1;
        if count > MOST_FIELDS {
            return Err(malformed("it has too many parts"));
        }
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "image" => {
                let bytes = photo_field(&mut field, limits, &mut memory).await?;
                once(&mut image, bytes, "image")?;
            }
            "cropType" => {
                let text = text_field(&mut field, "cropType", limits).await?;
                once(&mut crop_type, text, "cropType")?;
            }
            "notes" => once(
                &mut notes,
                text_field(&mut field, "notes", limits).await?,
                "notes",
            )?,
            _ => {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                return Err(ApiError::invalid(
                    shown,
                    "there is no such field",
                    ACCEPTED_FIELDS,
                ));
            }
        }
    }
    let image = image.ok_or_else(|| {
        ApiError::invalid("image", "it is missing", "a JPEG, PNG or WebP picture")
    })?;
    finish(Source::Bytes(image), crop_type, notes, memory)
}

async fn next_field(form: &mut Multipart, limits: Limits) -> Result<Option<Field<'_>>, ApiError> {
    match timeout(limits.idle, form.next_field()).await {
        Err(_) => Err(body::stalled()),
        Ok(next) => next.map_err(|error| multipart_error(&error, limits)),
    }
}

async fn photo_field(
    field: &mut Field<'_>,
    limits: Limits,
    memory: &mut Share,
) -> Result<Bytes, ApiError> {
    let mut photo = BytesMut::new();
    while let Some(piece) = next_piece(field, limits).await? {
        if photo.len() + piece.len() > limits.photo {
            return Err(ApiError::too_large("image", limits.photo));
        }
        memory.take(piece.len()).await?;
        photo.extend_from_slice(&piece);
    }
    Ok(photo.freeze())
}

async fn text_field(
    field: &mut Field<'_>,
    name: &'static str,
    limits: Limits,
) -> Result<String, ApiError> {
    let plain = field
        .content_type()
        .is_none_or(|kind| kind.to_ascii_lowercase().starts_with("text/plain"));
    if !plain || field.file_name().is_some() {
        return Err(ApiError::field(
            Kind::MEDIA_TYPE,
            name,
            "it is no plain text",
            "a text field",
        ));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = next_piece(field, limits).await? {
        if bytes.len() + piece.len() > LONGEST_TEXT_FIELD {
            return Err(ApiError::too_large(name, LONGEST_TEXT_FIELD));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| ApiError::invalid(name, "it is not UTF-8", "UTF-8 text"))
}

async fn next_piece(field: &mut Field<'_>, limits: Limits) -> Result<Option<Bytes>, ApiError> {
    match timeout(limits.idle, field.chunk()).await {
        Err(_) => Err(body::stalled()),
        Ok(piece) => piece.map_err(|error| multipart_error(&error, limits)),
    }
}

fn multipart_error(error: &axum::extract::multipart::MultipartError, limits: Limits) -> ApiError {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return ApiError::too_large("image", limits.photo);
        }
        cause = error.source();
    }
    malformed(&error.body_text())
}

fn malformed(why: &str) -> ApiError {
    tracing::debug!(why, "malformed multipart body");
    ApiError::invalid(
        "body",
        "it is no valid multipart body, or it broke off",
        "multipart/form-data (RFC 7578)",
    )
}

fn once<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), ApiError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(ApiError::invalid(
            name,
            "it was sent twice",
            "one field of each name",
        )),
    }
}

async fn from_json(
    state: &AppState,
    request: Request,
    limits: Limits,
    mut memory: Share,
) -> Result<Upload, ApiError> {
    // Base64 takes four bytes for three; line breaks of MIME a little more.
    let longest = limits.photo / 3 * 4 + limits.photo / 24 + JSON_EXTRA;
    let (parts, mut inner) = request.into_parts();
    body::check_length(&parts.headers, longest)
        .map_err(|_| ApiError::too_large("image", limits.photo))?;
    let mut text = BytesMut::new();
    while let Some(piece) = body::next(&mut inner, limits.idle).await? {
        if text.len() + piece.len() > longest {
            return Err(ApiError::too_large("image", limits.photo));
        }
        // The text, the string in it, and the picture itself.
        memory.take(3 * piece.len()).await?;
        text.extend_from_slice(&piece);
    }
    let upload: UploadJson = json::parse(&text)?;
    drop(text);
    let source = match (upload.image, upload.image_url) {
        (Some(image), None) => Source::Bytes(decode(image, limits.photo)?),
        (None, Some(url)) => Source::Url(photo::address(&url, &state.config.images.allowed_hosts)?),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "imageUrl",
                "image was sent as well",
                "one of the two",
            ));
        }
        (None, None) => {
            return Err(ApiError::invalid(
                "image",
                "it is missing",
                "a JPEG, PNG or WebP picture in base64, or imageUrl instead",
            ));
        }
    };
    finish(source, upload.crop_type, upload.notes, memory)
}

/// The bytes of base64 or of a data URL (RFC 2397). The type that a data URL
/// declares says nothing: the content is judged.
fn decode(mut image: String, limit: usize) -> Result<Bytes, ApiError> {
    const ACCEPTED: &str = "base64 (RFC 4648 section 4), or data:image/jpeg;base64,...";
    let invalid = |detail: &str| ApiError::invalid("image", detail, ACCEPTED);
    if image
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
    {
        let comma = image
            .find(',')
            .ok_or_else(|| invalid("the data URL has no data"))?;
        if !image[..comma].to_ascii_lowercase().ends_with(";base64") {
            return Err(invalid("the data URL is not in base64"));
        }
        image.drain(..=comma);
    }
    image.retain(|c| !c.is_ascii_whitespace());
    if image.len() / 4 * 3 > limit + 3 {
        return Err(ApiError::too_large("image", limit));
    }
    let bytes = BASE64
        .decode(image)
        .map_err(|error| invalid(&format!("it is no base64: {error}")))?;
    if bytes.len() > limit {
        return Err(ApiError::too_large("image", limit));
    }
    Ok(bytes.into())
}

fn finish(
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
    fn base64_is_read_in_its_usual_spellings() {
        for text in [
            "aGVsbG8=",
            "aGVsbG8",
            "data:image/png;base64,aGVsbG8=",
            "DATA:;BASE64,aGVs\r\nbG8=",
            " aGVsbG8= ",
        ] {
            assert_eq!(
                decode(text.to_owned(), 5).unwrap().as_ref(),
                b"hello",
                "{text}"
            );
        }
        for text in [
            "aGVsbG8*",
            "a",
            "data:image/png,hello",
            "data:image/png;base64",
            "aGVs=bG8",
        ] {
            assert_eq!(
                decode(text.to_owned(), 100).unwrap_err().status(),
                400,
                "{text}"
            );
        }
        assert_eq!(decode("aGVsbG8=".to_owned(), 4).unwrap_err().status(), 413);
    }

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
