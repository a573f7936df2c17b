//! Receives an upload as JSON: a photo in base64, or its address.

use axum::extract::Request;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::{Bytes, BytesMut};

use super::{
    photo::{self, Source},
    receive::{Limits, Upload, UploadJson, finish},
};
use crate::http::{ApiError, AppState, body, json, memory::Share};

/// What a JSON body may hold beside the photo.
const JSON_EXTRA: usize = 64 * 1024;

/// Clients write base64 with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) async fn from_json(
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
}
