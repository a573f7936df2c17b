//! Receives an upload as multipart (RFC 7578), part by part as it comes.

use axum::{
    body::Body,
    extract::{FromRequest as _, Multipart, Request, multipart::Field},
};
use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::{
    photo::Source,
    receive::{LONGEST_NOTES, Limits, Upload, finish},
};
use crate::http::{ApiError, body, memory::Share, problem::Kind};

/// What a multipart body may hold beside the photo.
const MULTIPART_EXTRA: usize = 64 * 1024;
/// No text field needs more bytes than this.
const LONGEST_TEXT_FIELD: usize = 4 * LONGEST_NOTES;
const MOST_FIELDS: usize = 16;
const ACCEPTED_FIELDS: &str = "image, cropType, notes";

pub(super) async fn from_multipart(
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
