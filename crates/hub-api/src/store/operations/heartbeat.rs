//! An attempt's sign of life: the lease, its progress, its parking.

use crate::store::{
    Alive, Beat, Happening, Heartbeat, StoreError, UnixMillis,
    database::{Sql, run},
    user_from_row,
    writer::{Locks, Operation, Work},
};
use shared_dto::{UserId, analysis::Progress};

/// Stages that a timeline holds, at most.
const MAX_STAGES: i64 = 40;

/// The answer may have come before the worker parked: then there is nothing
/// to wait for. A beat that was sent before the parking and comes behind it
/// must not shorten it.
const BEAT: Sql = Sql::same(
    "UPDATE jobs SET lease_until = CASE WHEN NOT $4 AND state = 'parked' THEN lease_until
             WHEN $4 AND reply IS NOT NULL THEN NULL ELSE $1 END,
         available_at = CASE WHEN $4 AND reply IS NOT NULL THEN $5 ELSE available_at END,
         state = CASE WHEN NOT $4 THEN state WHEN reply IS NULL THEN 'parked' ELSE 'queued' END
     WHERE id = $2 AND token = $3 AND state IN ('leased', 'parked')
         AND ($6 = '' OR $6 = (SELECT user_id FROM analyses WHERE id = analysis_id))
     RETURNING analysis_id, (SELECT user_id FROM analyses WHERE id = analysis_id), attempt,
         coalesce(lease_until, $1)",
);

const FIND_HELD: Sql =
    Sql::same("SELECT id FROM jobs WHERE id = $1 AND token = $2 AND state IN ('leased', 'parked')");

const FIND: Sql = Sql::same("SELECT id FROM jobs WHERE id = $1");

const KEEP_PROGRESS: Sql = Sql::same("UPDATE analyses SET progress = $1 WHERE id = $2");

const NEW_STAGE: Sql = Sql::same(
    "UPDATE jobs SET stage = $1, stages = stages + 1
     WHERE id = $2 AND stage IS DISTINCT FROM $1 AND stages < $3",
);

impl Operation for Heartbeat {
    type Output = Beat;

    fn locks(&self) -> Locks<'_> {
        Locks::Job(self.job_id)
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<Beat, StoreError> {
        let lease_until = work.now + self.park.unwrap_or(self.lease);
        let now = work.now;
        let owner = self.owner.as_ref().map_or("", UserId::as_str);
        let held: Option<(i64, String, i64, i64)> = run!(
            work.tx.conn().await?,
            BEAT,
            [
                lease_until.0,
                self.job_id,
                self.token.as_str(),
                self.park.is_some(),
                now.0,
                owner
            ],
            fetch_optional
        )?;
        let Some((analysis_id, user, attempt, lease_until)) = held else {
            return self.not_held(work).await;
        };
        let user = user_from_row(&user)?;
        if let Some(progress) = &self.progress {
            keep_progress(work, self.job_id, analysis_id, progress).await?;
        }
        if let Some(park) = self.park {
            let detail = format!("attempt {attempt}, up to {} s", park.as_secs());
            work.note(analysis_id, Happening::Parked, detail);
            work.jobs_changed = true;
        }
        Ok(Beat::Alive(Alive {
            user,
            analysis_id,
            lease_until: UnixMillis(lease_until),
        }))
    }
}

impl Heartbeat {
    async fn not_held(&self, work: &mut Work<'_>) -> Result<Beat, StoreError> {
        if self.owner.is_some() {
            let held: Option<(i64,)> = run!(
                work.tx.conn().await?,
                FIND_HELD,
                [self.job_id, self.token.as_str()],
                fetch_optional
            )?;
            if held.is_some() {
                return Ok(Beat::NotOwner);
            }
        }
        not_held(work, self.job_id).await
    }
}

/// Why an attempt is not the job's current one.
pub(in crate::store) async fn not_held(
    work: &mut Work<'_>,
    job_id: i64,
) -> Result<Beat, StoreError> {
    let known: Option<(i64,)> = run!(work.tx.conn().await?, FIND, [job_id], fetch_optional)?;
    Ok(if known.is_some() {
        Beat::Stale
    } else {
        Beat::Unknown
    })
}

/// Keeps the last progress for readers; a new stage is a line of the timeline.
pub(in crate::store) async fn keep_progress(
    work: &mut Work<'_>,
    job_id: i64,
    analysis_id: i64,
    progress: &Progress,
) -> Result<(), StoreError> {
    let json = serde_json::to_string(progress).expect("numbers and texts");
    run!(
        work.tx.conn().await?,
        KEEP_PROGRESS,
        [json.as_str(), analysis_id],
        execute
    )?;
    let new_stages = run!(
        work.tx.conn().await?,
        NEW_STAGE,
        [progress.stage.as_str(), job_id, MAX_STAGES],
        execute
    )?;
    if new_stages > 0 {
        let detail = format!("{} ({} %)", progress.stage, progress.percent);
        work.note(analysis_id, Happening::Progress, detail);
    }
    Ok(())
}
