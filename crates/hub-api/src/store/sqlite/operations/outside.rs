//! What an outside analyser tells: its progress and its answer. It knows the
//! attempt by number, from its signed address, and never the lease's token.

use shared_dto::analysis::Progress;
use sqlx::Row;

use super::heartbeat::{keep_progress, not_held};
use crate::store::{
    Alive, Beat, Happening, Replied, StoreError, UnixMillis,
    sqlite::{queue::Operation, work::Work},
    user_from_row,
};

/// Progress of an attempt that is leased or parked.
#[derive(Debug)]
pub(in crate::store::sqlite) struct OutsideProgress {
    pub(in crate::store::sqlite) job_id: i64,
    pub(in crate::store::sqlite) attempt: u32,
    pub(in crate::store::sqlite) progress: Progress,
}

impl Operation for OutsideProgress {
    type Output = Beat;

    async fn run(&self, work: &mut Work<'_>) -> Result<Beat, StoreError> {
        let row = sqlx::query(
            "SELECT j.analysis_id, a.user_id, j.lease_until
             FROM jobs j JOIN analyses a ON a.id = j.analysis_id
             WHERE j.id = ? AND j.attempt = ? AND j.state IN ('leased', 'parked')",
        )
        .bind(self.job_id)
        .bind(self.attempt)
        .fetch_optional(work.tx.conn().await?)
        .await?;
        let Some(row) = row else {
            return not_held(work, self.job_id).await;
        };
        let analysis_id = row.try_get(0)?;
        keep_progress(work, self.job_id, analysis_id, &self.progress).await?;
        Ok(Beat::Alive(Alive {
            user: user_from_row(row.try_get(1)?)?,
            analysis_id,
            lease_until: UnixMillis(row.try_get(2)?),
        }))
    }
}

/// The answer to one attempt. It is stored as it came, before anybody maps it.
#[derive(Debug)]
pub(in crate::store::sqlite) struct OutsideReply {
    pub(in crate::store::sqlite) job_id: i64,
    pub(in crate::store::sqlite) attempt: u32,
    pub(in crate::store::sqlite) body: String,
}

impl Operation for OutsideReply {
    type Output = Replied;

    async fn run(&self, work: &mut Work<'_>) -> Result<Replied, StoreError> {
        let row = sqlx::query(
            "SELECT attempt, state IN ('done', 'failed') OR reply IS NOT NULL, analysis_id
             FROM jobs WHERE id = ?",
        )
        .bind(self.job_id)
        .fetch_optional(work.tx.conn().await?)
        .await?;
        let Some(row) = row else {
            return Ok(Replied::Unknown);
        };
        let attempt: u32 = row.try_get(0)?;
        if self.attempt == 0 || self.attempt > attempt {
            return Ok(Replied::Unknown);
        }
        if row.try_get(1)? {
            return Ok(Replied::AlreadyEnded);
        }
        if self.attempt < attempt {
            return Ok(Replied::Stale);
        }
        self.store(work, row.try_get(2)?).await?;
        Ok(Replied::Accepted)
    }
}

impl OutsideReply {
    /// A parked or waiting job is ready at once. A leased one stays with its
    /// worker, which is about to park it or to give it back: it is ready then.
    async fn store(&self, work: &mut Work<'_>, analysis_id: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE jobs SET reply = ?1, reply_leases = 0,
                 available_at = ?2,
                 token = CASE state WHEN 'leased' THEN token END,
                 lease_until = CASE state WHEN 'leased' THEN lease_until END,
                 state = CASE state WHEN 'leased' THEN state ELSE 'queued' END
             WHERE id = ?3",
        )
        .bind(self.body.as_str())
        .bind(work.now.0)
        .bind(self.job_id)
        .execute(work.tx.conn().await?)
        .await?;
        let detail = format!("attempt {}, {} bytes", self.attempt, self.body.len());
        work.note(analysis_id, Happening::Replied, detail);
        work.jobs_changed = true;
        Ok(())
    }
}
