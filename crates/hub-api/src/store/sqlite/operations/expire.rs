//! What is due ends: silent attempts are tried again or given up, overdue
//! analyses are Failed.

use shared_dto::UserId;
use sqlx::{Row, sqlite::SqliteRow};

use super::fail_analysis::FailAnalysis;
use crate::store::{
    Expired, Happening, Photo, StoreError, UnixMillis,
    backoff::{Next, Spent, after_silence},
    failure::{EXHAUSTED, OVERDUE},
    photo_from_row,
    sqlite::{queue::Operation, work::Work},
    user_from_row,
};

/// One bounded round.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Expire {
    pub(in crate::store::sqlite) batch: u32,
}

const DUE: &str = "
    SELECT j.id, j.analysis_id, j.state, j.attempt, j.max_attempts, j.reply IS NOT NULL,
           j.reply_leases, j.deadline, j.worker_id, a.user_id, a.crop_type,
           a.image_key, a.image_media_type, a.image_url
    FROM jobs j JOIN analyses a ON a.id = j.analysis_id
    WHERE j.id IN (
        SELECT id FROM (SELECT id FROM jobs
            WHERE state IN ('leased', 'parked') AND lease_until <= ?1
            ORDER BY lease_until LIMIT ?2)
        UNION
        SELECT id FROM (SELECT id FROM jobs
            WHERE state IN ('queued', 'leased', 'parked') AND deadline <= ?1
            ORDER BY deadline LIMIT ?2))
    ORDER BY j.id LIMIT ?2";

impl Operation for Expire {
    type Output = Expired;

    async fn run(&self, work: &mut Work<'_>) -> Result<Expired, StoreError> {
        let due = sqlx::query(DUE)
            .bind(work.now.0)
            .bind(self.batch)
            .fetch_all(work.tx.conn().await?)
            .await?;
        let mut expired = Expired {
            more: u32::try_from(due.len()).unwrap_or(u32::MAX) >= self.batch,
            ..Expired::default()
        };
        for row in due {
            let job = DueJob::from_row(&row)?;
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
    fn from_row(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            job_id: row.try_get(0)?,
            analysis_id: row.try_get(1)?,
            state: row.try_get(2)?,
            spent: Spent {
                attempt: row.try_get(3)?,
                max_attempts: row.try_get(4)?,
                has_reply: row.try_get(5)?,
                reply_leases: row.try_get(6)?,
                deadline: UnixMillis(row.try_get(7)?),
            },
            worker: row.try_get(8)?,
            user: user_from_row(row.try_get(9)?)?,
            crop_type: row.try_get(10)?,
            photo: photo_from_row(row.try_get(11)?, row.try_get(12)?, row.try_get(13)?)?,
        })
    }

    async fn queue(&self, work: &mut Work<'_>, available_at: UnixMillis) -> Result<(), StoreError> {
        // Without a token the silent attempt's late result is refused.
        sqlx::query(
            "UPDATE jobs SET state = 'queued', lease_until = NULL, token = NULL,
                 available_at = ?, last_error = 'lease expired' WHERE id = ?",
        )
        .bind(available_at.0)
        .bind(self.job_id)
        .execute(work.tx.conn().await?)
        .await?;
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
