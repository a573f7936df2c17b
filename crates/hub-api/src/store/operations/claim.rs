//! A worker claims the one job that the broker brought it.

use super::lease_jobs::{AnalysisRow, JobRow, lease};
use crate::store::{
    Claim, Claimed, Happening, Lease, StoreError, UnixMillis,
    database::{Sql, columns, run},
    writer::{Locks, Operation, Work},
};

/// A lease for mapping a stored answer is no new attempt.
const TAKE: Sql = Sql::same(
    "UPDATE jobs SET state = 'leased', worker_id = $1, lease_until = $2, token = $3,
         attempt = attempt + CASE WHEN reply IS NULL THEN 1 ELSE 0 END,
         reply_leases = reply_leases + CASE WHEN reply IS NULL THEN 0 ELSE 1 END
     WHERE id = $4 AND state = 'queued' AND available_at <= $5 AND deadline > $5
     RETURNING id, token, attempt, max_attempts, deadline, analysis_id,
         idempotency_key, reply, trace_context, available_at",
);

const FIND: Sql = Sql::same("SELECT state, token, lease_until FROM jobs WHERE id = $1");

/// The job that this claim has already.
const OWN: Sql = Sql::same(
    "SELECT id, token, attempt, max_attempts, deadline, analysis_id,
         idempotency_key, reply, trace_context, available_at
     FROM jobs WHERE id = $1 AND state = 'leased' AND token = $2",
);

const ANALYSIS: Sql = Sql::same(
    "SELECT id, user_id, crop_type, notes, image_key, image_media_type, image_url
     FROM analyses WHERE id = $1",
);

columns!(FoundRow {
    state: String,
    token: Option<String>,
    lease_until: Option<i64>,
});

impl Operation for Claim {
    type Output = Claimed;

    fn locks(&self) -> Locks<'_> {
        Locks::Job(self.job_id)
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<Claimed, StoreError> {
        let (now, lease_until) = (work.now, work.now + self.lease);
        let taken: Option<JobRow> = run!(
            work.tx.conn().await?,
            TAKE,
            [
                self.worker.as_str(),
                lease_until.0,
                self.token.as_str(),
                self.job_id,
                now.0
            ],
            fetch_optional
        )?;
        let Some(job) = taken else {
            return self.not_taken(work).await;
        };
        let lease = leased(work, job, lease_until).await?;
        let what = if lease.reply.is_some() {
            ", to map the answer"
        } else {
            ""
        };
        let detail = format!("attempt {} by {}{what}", lease.attempt, self.worker);
        work.note(lease.analysis_id, Happening::Leased, detail);
        work.jobs_changed = true;
        Ok(Claimed::Leased(lease))
    }
}

impl Claim {
    async fn not_taken(&self, work: &mut Work<'_>) -> Result<Claimed, StoreError> {
        let found: Option<FoundRow> =
            run!(work.tx.conn().await?, FIND, [self.job_id], fetch_optional)?;
        let Some(found) = found else {
            return Ok(Claimed::Unknown);
        };
        let mine = found.token.as_ref() == Some(&self.token);
        match (found.state.as_str(), found.lease_until) {
            // The same claim again, its first answer lost on the way.
            ("leased", Some(lease_until)) if mine => {
                let (id, token) = (self.job_id, self.token.as_str());
                let own: Option<JobRow> =
                    run!(work.tx.conn().await?, OWN, [id, token], fetch_optional)?;
                match own {
                    Some(job) => {
                        let lease = leased(work, job, UnixMillis(lease_until)).await?;
                        Ok(Claimed::Repeated(lease))
                    }
                    // It ran out between the two looks.
                    None => Ok(Claimed::NotReady),
                }
            }
            ("leased" | "parked", _) => Ok(Claimed::Held),
            ("queued", _) => Ok(Claimed::NotReady),
            _ => Ok(Claimed::Ended),
        }
    }
}

async fn leased(
    work: &mut Work<'_>,
    job: JobRow,
    lease_until: UnixMillis,
) -> Result<Box<Lease>, StoreError> {
    let id = job.analysis_id;
    let analysis: Option<AnalysisRow> =
        run!(work.tx.conn().await?, ANALYSIS, [id], fetch_optional)?;
    let analysis = analysis.ok_or(StoreError::Unreadable {
        what: "job without analysis",
    })?;
    Ok(Box::new(lease(job, analysis, lease_until)?))
}
