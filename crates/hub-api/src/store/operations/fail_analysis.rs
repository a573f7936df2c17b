//! The hub itself ends an analysis as Failed and tells its owner.

use crate::store::{
    Appended, Photo, StoreError, Stream, Terminal,
    failure::{FAILED_EVENT, Failure},
    writer::{Draft, Ending, Work},
};
use shared_dto::UserId;

/// An analysis without a future.
#[derive(Debug)]
pub(in crate::store) struct FailAnalysis<'a> {
    pub(in crate::store) job_id: i64,
    pub(in crate::store) analysis_id: i64,
    pub(in crate::store) user: &'a UserId,
    pub(in crate::store) crop_type: Option<String>,
    pub(in crate::store) photo: &'a Photo,
    /// What the user is told.
    pub(in crate::store) message: &'a str,
    /// What went wrong, for the operator.
    pub(in crate::store) error: Option<&'a str>,
    /// True where an attempt's own retry led here: posted again, it gets the same answer.
    pub(in crate::store) keep_token: bool,
}

impl FailAnalysis<'_> {
    pub(in crate::store) async fn run(self, work: &mut Work<'_>) -> Result<Appended, StoreError> {
        let payload = Failure {
            analysis_id: self.analysis_id,
            user: self.user,
            crop_type: self.crop_type,
            photo: self.photo,
            message: self.message,
            at: work.now,
        }
        .payload();
        let draft = Draft {
            stream: Stream::of_user(self.user),
            event: FAILED_EVENT.into(),
            payload: payload.into(),
            analysis_id: Some(self.analysis_id),
            ending: true,
            trace: None,
        };
        let place = work
            .log(vec![draft])
            .await?
            .pop()
            .ok_or(StoreError::Unreadable {
                what: "log position",
            })?;
        let ending = Ending {
            job_id: self.job_id,
            analysis_id: self.analysis_id,
            terminal: &Terminal::Failed(self.message.to_owned()),
            place,
            error: self.error,
            keep_token: self.keep_token,
        };
        Ending::write_all(work, &[ending]).await?;
        Ok(Appended {
            notification_id: place.notification_id,
            sequence: place.sequence,
            connections: 0,
        })
    }
}
