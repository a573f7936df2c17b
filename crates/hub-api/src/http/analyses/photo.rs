//! What a photo must be: an image that is safe to decode, or an address on a
//! host that the operator chose.

use bytes::Bytes;
use reqwest::Url;
use tokio::task::spawn_blocking;

use crate::{
    http::{ApiError, AppState, problem::Kind},
    images::{Rejection, inspect},
    store::Photo,
};

const LONGEST_URL: usize = 2048;
const ACCEPTED_TYPES: &str = "a JPEG, PNG or WebP picture";

/// Where an uploaded photo comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// It was sent.
    Bytes(Bytes),
    /// The worker will fetch it.
    Url(Url),
}

/// A photo that was accepted and kept.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) photo: Photo,
}

/// Judges the photo and keeps it.
pub(super) async fn store(state: &AppState, source: Source) -> Result<Stored, ApiError> {
    let image = match source {
        Source::Url(url) => {
            return Ok(Stored {
                photo: Photo::Remote { url: url.into() },
            });
        }
        Source::Bytes(image) => image,
    };
    let media_type = judge(state, image.clone(), "image").await?;
    let key = state.images.put(image, media_type).await?;
    Ok(Stored {
        photo: Photo::Stored {
            key,
            media_type: media_type.as_str().to_owned(),
        },
    })
}

/// The type of `image`, where it is accepted.
pub(in crate::http) async fn judge(
    state: &AppState,
    image: Bytes,
    field: &'static str,
) -> Result<crate::images::MediaType, ApiError> {
    let max_pixels = state.config.upload.max_pixels;
    let judged = spawn_blocking(move || inspect(&image, max_pixels)).await;
    // A decoder that panics met a picture that nobody should decode.
    let judged = judged.unwrap_or(Err(Rejection::Damaged));
    judged.map(|found| found.media_type).map_err(|rejection| {
        let detail = rejection.to_string();
        match rejection {
            Rejection::Other(_) => ApiError::field(Kind::MEDIA_TYPE, field, detail, ACCEPTED_TYPES),
            Rejection::TooManyPixels { .. } => ApiError::field(
                Kind::TOO_LARGE,
                field,
                detail,
                format!("at most {max_pixels} pixels"),
            ),
            Rejection::Empty | Rejection::Truncated | Rejection::Damaged => ApiError::field(
                Kind::INVALID_IMAGE,
                field,
                detail,
                format!("{ACCEPTED_TYPES}, whole"),
            ),
        }
    })
}

/// An address that the worker may fetch. The host is compared as it was
/// parsed, which is how it will be resolved: `0x7f.1`, full-width digits and
/// the like have become what they mean by then.
pub(super) fn address(text: &str, allowed_hosts: &[String]) -> Result<Url, ApiError> {
    let refuse = |detail: &str| {
        let accepted = if allowed_hosts.is_empty() {
            "no address; send the picture itself as image".to_owned()
        } else {
            format!("an https address on one of: {}", allowed_hosts.join(", "))
        };
        ApiError::invalid("imageUrl", detail, accepted)
    };
    if text.len() > LONGEST_URL {
        return Err(refuse("it is too long"));
    }
    if text.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
        return Err(refuse("it holds a character that no address has"));
    }
    let url = Url::parse(text).map_err(|_| refuse("it is no address"))?;
    if url.scheme() != "https" {
        return Err(refuse("it is not https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it holds a user name"));
    }
    if url.port().is_some() {
        return Err(refuse("it names a port"));
    }
    if !allowed_hosts
        .iter()
        .any(|host| url.host_str() == Some(host))
    {
        return Err(refuse("its host is not allowed"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_on_listed_hosts_is_accepted() {
        let hosts = ["images.example.com".to_owned()];
        for good in [
            "https://images.example.com/a.jpg",
            "https://IMAGES.example.com/a.jpg?x=1",
            "https://images.example.com:443/a.jpg",
        ] {
            assert!(address(good, &hosts).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a.jpg",
            "http://images.example.com/a.jpg",
            "file:///etc/passwd",
            "gopher://images.example.com/",
            "data:image/png;base64,AAAA",
            "https://evil.example/a.jpg",
            "https://images.example.com.evil.example/",
            "https://images.example.com@evil.example/",
            "https://user@images.example.com/",
            "https://user:p@images.example.com/",
            "https://images.example.com:8443/",
            "https://images.example.com\\@evil.example/",
            "https://evil.example\\images.example.com/",
            "https://images.example.com./a.jpg",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://127。0。0。1/",
            "https://①②⑦.0.0.1/",
            "https://%31%32%37.0.0.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://localhost./",
            "https://images.example.com:0/",
            " https://images.example.com/",
            "https://images.example.com/a b",
        ] {
            assert!(address(bad, &hosts).is_err(), "{bad}");
        }
        assert!(address("https://images.example.com/", &[]).is_err());
        assert!(address("https://127.0.0.1/", &["localhost".to_owned()]).is_err());
    }
}
