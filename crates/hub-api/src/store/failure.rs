//! The notification of a failure that the hub itself decides: an analysis
//! that is overdue or has no attempt left.

use shared_dto::{
    UserId,
    analysis::AnalysisStatus,
    notification::{AnalysisFailed, deep_link},
};

use super::{
    analyses::{Photo, image_path},
    clock::UnixMillis,
};

/// The hub event of a failed analysis.
pub const FAILED_EVENT: &str = "ReceiveAnalysisFailed";

/// What the owner is told when no attempt is left.
pub(in crate::store) const EXHAUSTED: &str =
    "The analysis could not be completed. Please send the photo again.";

/// What the owner is told when the analysis took too long.
pub(in crate::store) const OVERDUE: &str =
    "The analysis took too long and was given up. Please send the photo again.";

/// What is told of a failed analysis.
#[derive(Debug)]
pub(in crate::store) struct Failure<'a> {
    pub(in crate::store) analysis_id: i64,
    pub(in crate::store) user: &'a UserId,
    pub(in crate::store) crop_type: Option<String>,
    pub(in crate::store) photo: &'a Photo,
    pub(in crate::store) message: &'a str,
    pub(in crate::store) at: UnixMillis,
}

impl Failure<'_> {
    /// The event's argument, as the log keeps it.
    pub(in crate::store) fn payload(self) -> String {
        let image_url = match self.photo {
            Photo::Stored { .. } => image_path(self.analysis_id),
            Photo::Remote { url } => url.clone(),
        };
        let dto = AnalysisFailed {
            analysis_id: self.analysis_id,
            user_id: self.user.clone(),
            status: AnalysisStatus::Failed,
            error_message: self.message.to_owned(),
            timestamp: self.at.to_datetime(),
            crop_type: self.crop_type,
            image_url: Some(image_url),
            deep_link: deep_link(self.analysis_id),
        };
        serde_json::to_string(&dto).expect("texts, numbers and a date with a four-digit year")
    }
}
