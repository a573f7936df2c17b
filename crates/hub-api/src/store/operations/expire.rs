//! What is due ends: silent attempts are tried again or given up, overdue
//! analyses are Failed.

use super::fail_analysis::FailAnalysis;
use crate::store::{
    Expired, Happening, Photo, StoreError, UnixMillis,
    backoff::{Next, Spent, after_silence},
    database::{Sql, columns, locking, run},
    decode::count_from_row,
    failure::{EXHAUSTED, OVERDUE},
    photo_from_row, user_from_row,
    writer::{Locks, Operation, Work},
};
use shared_dto::UserId;

/// One bounded round.
#[derive(Debug)]
pub(in crate::store) struct Expire {
    pub(in crate::store) batch: u32,
}

/// The conditions stand twice: the inner ones use the indexes, and the outer
/// one is what PostgreSQL looks at again once it has the row's lock. What
/// another hub is ending just now is left to it.
const DUE: Sql = locking!(
    "SELECT j.id, j.analysis_id, j.state, j.attempt, j.max_attempts, j.reply IS NOT NULL,
            j.reply_leases, j.deadline, j.worker_id, a.user_id, a.crop_type,
            a.image_key, a.image_media_type, a.image_url
     FROM jobs j JOIN analyses a ON a.id = j.analysis_id
     WHERE j.id IN (
         SELECT id FROM (SELECT id FROM jobs
             WHERE state IN ('leased', 'parked') AND lease_until <= $1
             ORDER BY lease_until LIMIT $2) AS silent
         UNION
         SELECT id FROM (SELECT id FROM jobs
             WHERE state IN ('queued', 'leased', 'parked') AND deadline <= $1
             ORDER BY deadline LIMIT $2) AS overdue)
       AND (j.state IN ('leased', 'parked') AND j.lease_until <= $1
         OR j.state IN ('queued', 'leased', 'parked') AND j.deadline <= $1)
     ORDER BY j.id LIMIT $2",
    "FOR UPDATE OF j SKIP LOCKED"
);

/// Without a token the silent attempt's late result is refused.
const QUEUE: Sql = Sql::same(
    "UPDATE jobs SET state = 'queued', lease_until = NULL, token = NULL,
         available_at = $1, last_error = 'lease expired' WHERE id = $2",
);

columns!(DueRow {
    job_id: i64,
    analysis_id: i64,
    state: String,
    attempt: i64,
    max_attempts: i64,
    has_reply: bool,
    reply_leases: i64,
    deadline: i64,
    worker: Option<String>,
    user: String,
    crop_type: Option<String>,
    image_key: Option<String>,
    image_media_type: Option<String>,
    image_url: Option<String>,
});

impl Operation for Expire {
    type Output = Expired;

    fn locks(&self) -> Locks<'_> {
        Locks::Many
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<Expired, StoreError> {
        let now = work.now;
        let mut due: Vec<DueRow> = run!(
            work.tx.conn().await?,
            DUE,
            [now.0, i64::from(self.batch)],
            fetch_all
        )?;
        // The order of streams, which other hubs lock as well.
        due.sort_by(|one, other| (&one.user, one.job_id).cmp(&(&other.user, other.job_id)));
        let mut expired = Expired {
            more: u32::try_from(due.len()).unwrap_or(u32::MAX) >= self.batch,
            ..Expired::default()
        };
        for row in due {
            let job = DueJob::from_row(row)?;
            match after_silence(job.spent, work.now) {
                Next::At(available_at) => {
                    job.queue(work, available_at).await?;
                    expired.requeued += 1;
                }
                Next::Exhausted => {
                    job.fail(work, EXHAUSTED, "no sign of life from the last attempt")
                        .await?;
                    expired.failed += 1;
                }
                Next::Overdue => {
                    job.fail(work, OVERDUE, "past its deadline").await?;
                    expired.failed += 1;
                }
            }
        }
        work.jobs_changed |= expired.requeued > 0;
        Ok(expired)
    }
}

struct DueJob {
    job_id: i64,
    analysis_id: i64,
    state: String,
    spent: Spent,
    worker: Option<String>,
    user: UserId,
    crop_type: Option<String>,
    photo: Photo,
}

impl DueJob {
    fn from_row(row: DueRow) -> Result<Self, StoreError> {
        Ok(Self {
            job_id: row.job_id,
            analysis_id: row.analysis_id,
            state: row.state,
            spent: Spent {
                attempt: count_from_row(row.attempt),
                max_attempts: count_from_row(row.max_attempts),
                has_reply: row.has_reply,
                reply_leases: count_from_row(row.reply_leases),
                deadline: UnixMillis(row.deadline),
            },
            worker: row.worker,
            user: user_from_row(&row.user)?,
            crop_type: row.crop_type,
            photo: photo_from_row(row.image_key, row.image_media_type, row.image_url)?,
        })
    }

    async fn queue(&self, work: &mut Work<'_>, available_at: UnixMillis) -> Result<(), StoreError> {
        run!(
            work.tx.conn().await?,
            QUEUE,
            [available_at.0, self.job_id],
            execute
        )?;
        let wait = available_at.since(work.now).as_secs();
        self.note(work, &format!("again in {wait} s"));
        Ok(())
    }

    async fn fail(
        &self,
        work: &mut Work<'_>,
        message: &str,
        error: &str,
    ) -> Result<(), StoreError> {
        self.note(work, error);
        let failure = FailAnalysis {
            job_id: self.job_id,
            analysis_id: self.analysis_id,
            user: &self.user,
            crop_type: self.crop_type.clone(),
            photo: &self.photo,
            message,
            error: Some(error),
            keep_token: false,
        };
        failure.run(work).await?;
        Ok(())
    }

    fn note(&self, work: &mut Work<'_>, what: &str) {
        let Spent { attempt, .. } = self.spent;
        let detail = match (self.state.as_str(), &self.worker) {
            ("leased", Some(worker)) => format!("attempt {attempt} by {worker}, {what}"),
            ("parked", _) => format!("attempt {attempt} got no outside answer, {what}"),
            _ => format!("after attempt {attempt}, {what}"),
        };
        work.note(self.analysis_id, Happening::LeaseExpired, detail);
    }
}
