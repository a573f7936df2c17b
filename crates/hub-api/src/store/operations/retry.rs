//! A worker gives an attempt back.

use super::fail_analysis::FailAnalysis;
use crate::store::{
    Happening, Retried, Retry, StoreError, UnixMillis, backoff,
    database::{Sql, columns, locking, run},
    decode::count_from_row,
    photo_from_row, user_from_row,
    writer::{Locks, Operation, Work},
};

/// What is kept of an error text, in bytes.
const MAX_ERROR: usize = 1024;

const FIND: Sql = locking!(
    "SELECT j.state, j.token, j.attempt, j.max_attempts, j.reply IS NOT NULL, j.reply_leases,
            j.available_at, j.analysis_id, a.user_id, a.crop_type,
            a.image_key, a.image_media_type, a.image_url, j.notification_id, j.sequence
     FROM jobs j JOIN analyses a ON a.id = j.analysis_id WHERE j.id = $1",
    "FOR UPDATE OF j"
);

/// Without `$3` the attempt is spent, and with it the answer that it could not use.
const QUEUE: Sql = Sql::same(
    "UPDATE jobs SET state = 'queued', lease_until = NULL, available_at = $1,
         last_error = $2,
         attempt = coalesce($3, attempt),
         reply = CASE WHEN $3 IS NOT NULL THEN reply END,
         reply_leases = CASE WHEN $3 IS NOT NULL AND reply_leases > 0 THEN reply_leases - 1 ELSE 0 END
     WHERE id = $4",
);

columns!(JobRow {
    state: String,
    token: Option<String>,
    attempt: i64,
    max_attempts: i64,
    has_reply: bool,
    reply_leases: i64,
    available_at: i64,
    analysis_id: i64,
    user: String,
    crop_type: Option<String>,
    image_key: Option<String>,
    image_media_type: Option<String>,
    image_url: Option<String>,
    notification_id: Option<i64>,
    sequence: Option<i64>,
});

impl Operation for Retry {
    type Output = Retried;

    fn locks(&self) -> Locks<'_> {
        Locks::Many
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<Retried, StoreError> {
        let found: Option<JobRow> =
            run!(work.tx.conn().await?, FIND, [self.job_id], fetch_optional)?;
        let Some(job) = found else {
            return Ok(Retried::Unknown);
        };
        if job.token.as_ref() != Some(&self.token) {
            return Ok(Retried::Stale);
        }
        match (job.state.as_str(), job.notification_id.zip(job.sequence)) {
            ("leased" | "parked", _) => self.give_back(work, job).await,
            // The same request again, its first answer lost on the way.
            ("queued", _) => Ok(Retried::Repeated {
                available_at: Some(UnixMillis(job.available_at)),
            }),
            ("failed", Some(_)) => Ok(Retried::Repeated { available_at: None }),
            _ => Ok(Retried::Stale),
        }
    }
}

impl Retry {
    async fn give_back(&self, work: &mut Work<'_>, job: JobRow) -> Result<Retried, StoreError> {
        let reply_is_new = job.has_reply && job.reply_leases == 0;
        if self.hand_back || reply_is_new {
            let counted = !job.has_reply;
            let unspent = job.attempt - i64::from(counted);
            return self.queue(work, &job, work.now, Some(unspent)).await;
        }
        if job.attempt >= job.max_attempts {
            return self.exhaust(work, job).await;
        }
        let wait = backoff::wait(count_from_row(job.attempt));
        let wait = wait.max(self.retry_after.unwrap_or_default());
        self.queue(work, &job, work.now + wait, None).await
    }

    /// Queues the job again. Without `unspent` the attempt is spent, and with
    /// it the answer that it could not use.
    async fn queue(
        &self,
        work: &mut Work<'_>,
        job: &JobRow,
        available_at: UnixMillis,
        unspent: Option<i64>,
    ) -> Result<Retried, StoreError> {
        run!(
            work.tx.conn().await?,
            QUEUE,
            [available_at.0, cut(&self.error), unspent, self.job_id],
            execute
        )?;
        let attempt = job.attempt;
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
        work.note(job.analysis_id, kind, detail);
        work.jobs_changed = true;
        Ok(Retried::Scheduled { available_at })
    }

    async fn exhaust(&self, work: &mut Work<'_>, job: JobRow) -> Result<Retried, StoreError> {
        let user = user_from_row(&job.user)?;
        let photo = photo_from_row(job.image_key, job.image_media_type, job.image_url)?;
        let detail = format!("attempt {}, the last: {}", job.attempt, cut(&self.error));
        work.note(job.analysis_id, Happening::Retried, detail);
        let failure = FailAnalysis {
            job_id: self.job_id,
            analysis_id: job.analysis_id,
            user: &user,
            crop_type: job.crop_type,
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
