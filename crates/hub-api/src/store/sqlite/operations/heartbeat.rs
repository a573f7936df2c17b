//! An attempt's sign of life: the lease, its progress, its parking.

use sqlx::Row;

use crate::store::{
    Alive, Beat, Happening, Heartbeat, StoreError,
    sqlite::{queue::Operation, work::Work},
    user_from_row,
};
use shared_dto::analysis::Progress;

/// Stages that a timeline holds, at most.
const MAX_STAGES: i64 = 40;

impl Operation for Heartbeat {
    type Output = Beat;

    async fn run(&self, work: &mut Work<'_>) -> Result<Beat, StoreError> {
        let lease_until = work.now + self.park.unwrap_or(self.lease);
        // The answer may have come before the worker parked: then there is
        // nothing to wait for.
        let row = sqlx::query(
            "UPDATE jobs SET lease_until = CASE WHEN ?4 AND reply IS NOT NULL THEN NULL ELSE ?1 END,
                 available_at = CASE WHEN ?4 AND reply IS NOT NULL THEN ?5 ELSE available_at END,
                 state = CASE WHEN NOT ?4 THEN state WHEN reply IS NULL THEN 'parked' ELSE 'queued' END
             WHERE id = ?2 AND token = ?3 AND state IN ('leased', 'parked')
             RETURNING analysis_id, (SELECT user_id FROM analyses WHERE id = analysis_id), attempt",
        )
        .bind(lease_until.0)
        .bind(self.job_id)
        .bind(self.token.as_str())
        .bind(self.park.is_some())
        .bind(work.now.0)
        .fetch_optional(work.tx.conn().await?)
        .await?;
        let Some(row) = row else {
            return not_held(work, self.job_id).await;
        };
        let analysis_id = row.try_get(0)?;
        let user = user_from_row(row.try_get(1)?)?;
        if let Some(progress) = &self.progress {
            keep_progress(work, self.job_id, analysis_id, progress).await?;
        }
        if let Some(park) = self.park {
            let attempt: u32 = row.try_get(2)?;
            let detail = format!("attempt {attempt}, up to {} s", park.as_secs());
            work.note(analysis_id, Happening::Parked, detail);
            work.jobs_changed = true;
        }
        Ok(Beat::Alive(Alive {
            user,
            analysis_id,
            lease_until,
        }))
    }
}

/// Why an attempt is not the job's current one.
pub(super) async fn not_held(work: &mut Work<'_>, job_id: i64) -> Result<Beat, StoreError> {
    let known: Option<i64> = sqlx::query_scalar("SELECT id FROM jobs WHERE id = ?")
        .bind(job_id)
        .fetch_optional(work.tx.conn().await?)
        .await?;
    Ok(if known.is_some() {
        Beat::Stale
    } else {
        Beat::Unknown
    })
}

/// Keeps the last progress for readers; a new stage is a line of the timeline.
pub(super) async fn keep_progress(
    work: &mut Work<'_>,
    job_id: i64,
    analysis_id: i64,
    progress: &Progress,
) -> Result<(), StoreError> {
    let json = serde_json::to_string(progress).expect("numbers and texts");
    let new_stage = sqlx::query(
        "UPDATE analyses SET progress = ? WHERE id = ?;
         UPDATE jobs SET stage = ?3, stages = stages + 1
         WHERE id = ?4 AND stage IS NOT ?3 AND stages < ?5 RETURNING id",
    )
    .bind(json)
    .bind(analysis_id)
    .bind(progress.stage.as_str())
    .bind(job_id)
    .bind(MAX_STAGES)
    .fetch_all(work.tx.conn().await?)
    .await?;
    if !new_stage.is_empty() {
        let detail = format!("{} ({} %)", progress.stage, progress.percent);
        work.note(analysis_id, Happening::Progress, detail);
    }
    Ok(())
}
