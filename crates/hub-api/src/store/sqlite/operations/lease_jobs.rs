//! Workers take jobs.

use std::{collections::HashMap, time::Duration};

use sqlx::{Row, sqlite::SqliteRow};

use crate::store::{
    Happening, Lease, StoreError, UnixMillis, photo_from_row,
    sqlite::{queue::Operation, work::Work},
    user_from_row,
};

/// Leases ready jobs to one worker, the longest ready first.
#[derive(Debug)]
pub(in crate::store::sqlite) struct LeaseJobs {
    pub(in crate::store::sqlite) worker: String,
    pub(in crate::store::sqlite) max: u32,
    pub(in crate::store::sqlite) lease: Duration,
}

/// A lease for mapping a stored answer is no new attempt.
const TAKE: &str = "
    UPDATE jobs SET state = 'leased', worker_id = ?1, lease_until = ?2,
        token = lower(hex(randomblob(16))),
        attempt = attempt + (reply IS NULL),
        reply_leases = reply_leases + (reply IS NOT NULL)
    WHERE id IN (
        SELECT id FROM jobs
        WHERE state = 'queued' AND available_at <= ?3 AND deadline > ?3
        ORDER BY available_at, id LIMIT ?4)
    RETURNING id, token, attempt, max_attempts, deadline, analysis_id,
        idempotency_key, reply, trace_context, available_at";

const ANALYSES: &str = "
    SELECT id, user_id, crop_type, notes, image_key, image_media_type, image_url
    FROM analyses WHERE id IN (SELECT value FROM json_each(?))";

impl Operation for LeaseJobs {
    type Output = Vec<Lease>;

    async fn run(&self, work: &mut Work<'_>) -> Result<Vec<Lease>, StoreError> {
        let lease_until = work.now + self.lease;
        let jobs = sqlx::query(TAKE)
            .bind(self.worker.as_str())
            .bind(lease_until.0)
            .bind(work.now.0)
            .bind(self.max)
            .fetch_all(work.tx.conn().await?)
            .await?;
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids: Vec<i64> = Vec::with_capacity(jobs.len());
        for job in &jobs {
            ids.push(job.try_get(5)?);
        }
        let ids = serde_json::to_string(&ids).expect("a list of integers");
        let analyses = sqlx::query(ANALYSES)
            .bind(ids)
            .fetch_all(work.tx.conn().await?)
            .await?;
        let mut analyses: HashMap<i64, SqliteRow> = analyses
            .into_iter()
            .map(|row| Ok((row.try_get(0)?, row)))
            .collect::<Result<_, StoreError>>()?;
        let mut leases = Vec::with_capacity(jobs.len());
        for job in jobs {
            let analysis_id: i64 = job.try_get(5)?;
            let analysis = analyses
                .remove(&analysis_id)
                .ok_or(StoreError::Unreadable {
                    what: "job without analysis",
                })?;
            let available_at: i64 = job.try_get(9)?;
            leases.push((available_at, lease(&job, &analysis, lease_until)?));
        }
        // RETURNING promises no order.
        leases.sort_by_key(|(available_at, lease)| (*available_at, lease.job_id));
        let leases: Vec<Lease> = leases.into_iter().map(|(_, lease)| lease).collect();
        for lease in &leases {
            let what = if lease.reply.is_some() {
                ", to map the answer"
            } else {
                ""
            };
            let detail = format!("attempt {} by {}{what}", lease.attempt, self.worker);
            work.note(lease.analysis_id, Happening::Leased, detail);
        }
        work.jobs_changed = true;
        Ok(leases)
    }
}

fn lease(
    job: &SqliteRow,
    analysis: &SqliteRow,
    lease_until: UnixMillis,
) -> Result<Lease, StoreError> {
    Ok(Lease {
        job_id: job.try_get(0)?,
        token: job.try_get(1)?,
        attempt: job.try_get(2)?,
        max_attempts: job.try_get(3)?,
        lease_until,
        deadline: UnixMillis(job.try_get(4)?),
        analysis_id: job.try_get(5)?,
        user: user_from_row(analysis.try_get(1)?)?,
        crop_type: analysis.try_get(2)?,
        notes: analysis.try_get(3)?,
        photo: photo_from_row(
            analysis.try_get(4)?,
            analysis.try_get(5)?,
            analysis.try_get(6)?,
        )?,
        idempotency_key: job.try_get(6)?,
        reply: job.try_get(7)?,
        trace_context: job.try_get(8)?,
    })
}
