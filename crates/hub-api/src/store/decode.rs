//! Columns back into types. What does not decode was not written by this
//! program: it is an error and never a guess.

use shared_dto::{UserId, analysis::AnalysisStatus};

use super::{analyses::Photo, error::StoreError};

/// A number that is never written as large as this, nor negative.
pub(in crate::store) fn count_from_row(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// 128 random bits as 32 lower-case digits.
pub(in crate::store) fn random_hex() -> String {
    format!("{:032x}", rand::random::<u128>())
}

pub(in crate::store) fn user_from_row(text: &str) -> Result<UserId, StoreError> {
    UserId::new(text).map_err(|_| StoreError::Unreadable { what: "user id" })
}

pub(in crate::store) fn status_from_row(text: &str) -> Result<AnalysisStatus, StoreError> {
    [
        AnalysisStatus::Processing,
        AnalysisStatus::Completed,
        AnalysisStatus::Failed,
    ]
    .into_iter()
    .find(|status| status.as_str() == text)
    .ok_or(StoreError::Unreadable {
        what: "analysis status",
    })
}

pub(in crate::store) fn photo_from_row(
    key: Option<String>,
    media_type: Option<String>,
    url: Option<String>,
) -> Result<Photo, StoreError> {
    match (key, media_type, url) {
        (Some(key), Some(media_type), None) => Ok(Photo::Stored { key, media_type }),
        (None, None, Some(url)) => Ok(Photo::Remote { url }),
        _ => Err(StoreError::Unreadable { what: "photo" }),
    }
}
