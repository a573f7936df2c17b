//! A job that the broker could not deliver ends as Failed.

use super::fail_analysis::FailAnalysis;
use crate::store::{
    Buried, DeadLetter, Happening, StoreError,
    database::{Sql, columns, locking, run},
    failure::EXHAUSTED,
    photo_from_row, user_from_row,
    writer::{Locks, Operation, Work},
};

const FIND: Sql = locking!(
    "SELECT j.state, j.available_at, j.analysis_id, a.user_id, a.crop_type,
            a.image_key, a.image_media_type, a.image_url
     FROM jobs j JOIN analyses a ON a.id = j.analysis_id WHERE j.id = $1",
    "FOR UPDATE OF j"
);

columns!(JobRow {
    state: String,
    available_at: i64,
    analysis_id: i64,
    user: String,
    crop_type: Option<String>,
    image_key: Option<String>,
    image_media_type: Option<String>,
    image_url: Option<String>,
});

impl Operation for DeadLetter {
    type Output = Buried;

    fn locks(&self) -> Locks<'_> {
        Locks::Many
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<Buried, StoreError> {
        let found: Option<JobRow> =
            run!(work.tx.conn().await?, FIND, [self.job_id], fetch_optional)?;
        let Some(job) = found else {
            return Ok(Buried::Unknown);
        };
        let current = self.ready_at.is_none_or(|at| at.0 == job.available_at);
        match job.state.as_str() {
            "queued" if current => {}
            "queued" | "leased" | "parked" => return Ok(Buried::Superseded),
            _ => return Ok(Buried::Ended),
        }
        let user = user_from_row(&job.user)?;
        let photo = photo_from_row(job.image_key, job.image_media_type, job.image_url)?;
        work.note(
            job.analysis_id,
            Happening::DeadLettered,
            self.reason.as_str(),
        );
        let error = format!("the broker could not deliver the job: {}", self.reason);
        let failure = FailAnalysis {
            job_id: self.job_id,
            analysis_id: job.analysis_id,
            user: &user,
            crop_type: job.crop_type,
            photo: &photo,
            message: EXHAUSTED,
            error: Some(&error),
            keep_token: false,
        };
        Ok(Buried::Failed(failure.run(work).await?))
    }
}
