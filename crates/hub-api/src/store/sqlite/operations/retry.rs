//! A worker gives an attempt back.

use sqlx::{Row, sqlite::SqliteRow};

use super::fail_analysis::FailAnalysis;
use crate::store::{
    Appended, Happening, Retried, Retry, StoreError, UnixMillis, backoff, photo_from_row,
    sqlite::{queue::Operation, work::Work},
    user_from_row,
};

/// What is kept of an error text, in bytes.
const MAX_ERROR: usize = 1024;

const FIND: &str = "
    SELECT j.state, j.token, j.attempt, j.max_attempts, j.reply IS NOT NULL, j.reply_leases,
           j.available_at, j.analysis_id, a.user_id, a.crop_type,
           a.image_key, a.image_media_type, a.image_url, j.notification_id, j.sequence
    FROM jobs j JOIN analyses a ON a.id = j.analysis_id WHERE j.id = ?";

impl Operation for Retry {
    type Output = Retried;

    async fn run(&self, work: &mut Work<'_>) -> Result<Retried, StoreError> {
        let row = sqlx::query(FIND)
            .bind(self.job_id)
            .fetch_optional(work.tx.conn().await?)
            .await?;
        let Some(row) = row else {
            return Ok(Retried::Unknown);
        };
        if row.try_get::<Option<&str>, _>(1)? != Some(&self.token) {
            return Ok(Retried::Stale);
        }
        match row.try_get(0)? {
            "leased" | "parked" => self.give_back(work, &row).await,
            // The same request again, its first answer lost on the way.
            "queued" => Ok(Retried::Scheduled {
                available_at: UnixMillis(row.try_get(6)?),
            }),
            "failed" => Ok(Retried::Exhausted(Appended {
                notification_id: row.try_get(13)?,
                sequence: row.try_get(14)?,
                connections: 0,
            })),
            _ => Ok(Retried::Stale),
        }
    }
}

impl Retry {
    async fn give_back(&self, work: &mut Work<'_>, row: &SqliteRow) -> Result<Retried, StoreError> {
        let attempt: u32 = row.try_get(2)?;
        let max_attempts: u32 = row.try_get(3)?;
        let has_reply: bool = row.try_get(4)?;
        let reply_leases: u32 = row.try_get(5)?;
        let reply_is_new = has_reply && reply_leases == 0;
        if self.hand_back || reply_is_new {
            let counted = !has_reply;
            return self
                .queue(work, row, work.now, Some(attempt - u32::from(counted)))
                .await;
        }
        if attempt >= max_attempts {
            return self.exhaust(work, row).await;
        }
        let wait = backoff::wait(attempt).max(self.retry_after.unwrap_or_default());
        self.queue(work, row, work.now + wait, None).await
    }

    /// Queues the job again. Without `unspent` the attempt is spent, and with
    /// it the answer that it could not use.
    async fn queue(
        &self,
        work: &mut Work<'_>,
        row: &SqliteRow,
        available_at: UnixMillis,
        unspent: Option<u32>,
    ) -> Result<Retried, StoreError> {
        sqlx::query(
            "UPDATE jobs SET state = 'queued', lease_until = NULL, available_at = ?1,
                 last_error = ?2,
                 attempt = coalesce(?3, attempt),
                 reply = CASE WHEN ?3 IS NOT NULL THEN reply END,
                 reply_leases = CASE WHEN ?3 IS NOT NULL THEN max(reply_leases - 1, 0) ELSE 0 END
             WHERE id = ?4",
        )
        .bind(available_at.0)
        .bind(cut(&self.error))
        .bind(unspent)
        .bind(self.job_id)
        .execute(work.tx.conn().await?)
        .await?;
        let attempt: u32 = row.try_get(2)?;
        let kind = if self.hand_back {
            Happening::HandedBack
        } else {
            Happening::Retried
        };
        let wait = available_at.since(work.now).as_secs();
        let detail = match cut(&self.error) {
            "" => format!("attempt {attempt}, again in {wait} s"),
            error => format!("attempt {attempt}, again in {wait} s: {error}"),
        };
        work.note(row.try_get(7)?, kind, detail);
        work.jobs_changed = true;
        Ok(Retried::Scheduled { available_at })
    }

    async fn exhaust(&self, work: &mut Work<'_>, row: &SqliteRow) -> Result<Retried, StoreError> {
        let user = user_from_row(row.try_get(8)?)?;
        let photo = photo_from_row(row.try_get(10)?, row.try_get(11)?, row.try_get(12)?)?;
        let analysis_id = row.try_get(7)?;
        let attempt: u32 = row.try_get(2)?;
        let detail = format!("attempt {attempt}, the last: {}", cut(&self.error));
        work.note(analysis_id, Happening::Retried, detail);
        let failure = FailAnalysis {
            job_id: self.job_id,
            analysis_id,
            user: &user,
            crop_type: row.try_get(9)?,
            photo: &photo,
            message: &self.user_message,
            error: Some(cut(&self.error)),
            keep_token: true,
        };
        Ok(Retried::Exhausted(failure.run(work).await?))
    }
}

fn cut(error: &str) -> &str {
    &error[..error.floor_char_boundary(MAX_ERROR)]
}
