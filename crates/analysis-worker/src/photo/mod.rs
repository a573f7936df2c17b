//! A job's photo: from the hub, or from the address that the uploader gave.
//!
//! Owns the limits of the way here (bytes, time, where from) and the judgement
//! by content. Never decodes a picture.

mod public_address;
mod outside;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use shared_dto::jobs::LeasedJob;
use tokio_util::sync::CancellationToken;

use self::outside::FetchError;
use crate::{
    attempt::Outcome,
    hub::{Hub, HubError, Unsettled, until_settled},
    screening::MAX_BYTES,
};

/// Fetches photos.
#[derive(Debug)]
pub(crate) struct Photos {
    hub: Arc<Hub>,
    fetch_timeout: Duration,
}

impl Photos {
    pub(crate) fn new(hub: Arc<Hub>, fetch_timeout: Duration) -> Self {
        Self { hub, fetch_timeout }
    }

    /// The photo of `job`, or the attempt's outcome without it. An unreachable
    /// hub is waited for: that is no fault of this attempt, and spends none.
    pub(crate) async fn of(&self, job: &LeasedJob) -> Result<Bytes, Outcome> {
        match (&job.image_path, &job.image_url) {
            (Some(path), _) => {
                let never = CancellationToken::new();
                let fetch = || self.hub.photo(path, MAX_BYTES);
                until_settled("fetching the photo", &never, fetch)
                    .await
                    .map_err(from_hub)
            }
            (None, Some(url)) => outside::fetch(url, MAX_BYTES, self.fetch_timeout)
                .await
                .map_err(from_outside),
            (None, None) => Err(Outcome::reject(
                "the job names no photo",
                "The photo is missing. Please upload it again.",
            )),
        }
    }
}

fn from_hub(unsettled: Unsettled) -> Outcome {
    match unsettled {
        Unsettled::Final(HubError::Stale) => Outcome::Lost,
        Unsettled::Final(error @ HubError::TooLong(_)) => {
            Outcome::reject(error.to_string(), "The photo is too large.")
        }
        Unsettled::Final(error) if error.is_lost() => Outcome::reject(
            format!("the hub has no such photo: {error}"),
            "The photo is missing. Please upload it again.",
        ),
        Unsettled::Final(error) => Outcome::retry(format!("no photo from the hub: {error}")),
        Unsettled::Stopped => Outcome::retry("stopped while fetching the photo"),
    }
}

fn from_outside(error: FetchError) -> Outcome {
    let message = "The photo could not be fetched from its address.";
    match error {
        FetchError::Unreachable(_) | FetchError::Unavailable(_) => {
            let failure = crate::attempt::Failure::new(error.to_string(), message);
            Outcome::Retry(failure, None)
        }
        FetchError::Address(_) => Outcome::reject(
            error.to_string(),
            "Photos cannot be fetched from this address.",
        ),
        FetchError::TooLong => Outcome::reject(error.to_string(), "The photo is too large."),
        FetchError::Refused(_) => Outcome::reject(error.to_string(), message),
    }
}

/// The media type of a photo by its first bytes, whatever it was called; `None`
/// for what is not accepted.
pub(crate) fn media_type(photo: &[u8]) -> Option<&'static str> {
    if photo.starts_with(&[0xff, 0xd8, 0xff]) {
        Some("image/jpeg")
    } else if photo.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if photo.len() >= 12 && photo.starts_with(b"RIFF") && &photo[8..12] == b"WEBP" {
        Some("image/webp")
    } else {
        None
    }
}
