//! What an outside analyser tells: its progress and its answer. It knows the
//! attempt by number, from its signed address, and never the lease's token.

use shared_dto::analysis::Progress;

use super::heartbeat::{keep_progress, not_held};
use crate::store::{
    Alive, Beat, Happening, Replied, StoreError, UnixMillis,
    database::{Sql, locking, run},
    user_from_row,
    writer::{Locks, Operation, Work},
};

const FIND_HELD: Sql = locking!(
    "SELECT j.analysis_id, a.user_id, j.lease_until
     FROM jobs j JOIN analyses a ON a.id = j.analysis_id
     WHERE j.id = $1 AND j.attempt = $2 AND j.state IN ('leased', 'parked')",
    "FOR UPDATE OF j"
);

const FIND: Sql = locking!(
    "SELECT attempt, state IN ('done', 'failed') OR reply IS NOT NULL, analysis_id,
         state = 'queued'
     FROM jobs WHERE id = $1",
    "FOR UPDATE"
);

const STORE_REPLY: Sql = Sql::same(
    "UPDATE jobs SET reply = $1, reply_leases = 0,
         available_at = $2,
         token = CASE state WHEN 'leased' THEN token END,
         lease_until = CASE state WHEN 'leased' THEN lease_until END,
         state = CASE state WHEN 'leased' THEN state ELSE 'queued' END,
         attempt = $4
     WHERE id = $3",
);

/// Progress of an attempt that is leased or parked.
#[derive(Debug)]
pub(in crate::store) struct OutsideProgress {
    pub(in crate::store) job_id: i64,
    pub(in crate::store) attempt: u32,
    pub(in crate::store) progress: Progress,
}

impl Operation for OutsideProgress {
    type Output = Beat;

    fn locks(&self) -> Locks<'_> {
        Locks::Job(self.job_id)
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<Beat, StoreError> {
        let held: Option<(i64, String, i64)> = run!(
            work.tx.conn().await?,
            FIND_HELD,
            [self.job_id, i64::from(self.attempt)],
            fetch_optional
        )?;
        let Some((analysis_id, user, lease_until)) = held else {
            return not_held(work, self.job_id).await;
        };
        keep_progress(work, self.job_id, analysis_id, &self.progress).await?;
        Ok(Beat::Alive(Alive {
            user: user_from_row(&user)?,
            analysis_id,
            lease_until: UnixMillis(lease_until),
        }))
    }
}

/// The answer to one attempt. It is stored as it came, before anybody maps it.
#[derive(Debug)]
pub(in crate::store) struct OutsideReply {
    pub(in crate::store) job_id: i64,
    pub(in crate::store) attempt: u32,
    pub(in crate::store) body: String,
}

impl Operation for OutsideReply {
    type Output = Replied;

    fn locks(&self) -> Locks<'_> {
        Locks::Job(self.job_id)
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<Replied, StoreError> {
        let found: Option<(i64, bool, i64, bool)> =
            run!(work.tx.conn().await?, FIND, [self.job_id], fetch_optional)?;
        let Some((attempt, answered, analysis_id, queued)) = found else {
            return Ok(Replied::Unknown);
        };
        let told = i64::from(self.attempt);
        // An attempt that its worker handed back is not counted, and yet it is
        // the one that its answer belongs to until another one begins.
        let handed_back = queued && told == attempt + 1;
        if told == 0 || told > attempt && !handed_back {
            return Ok(Replied::Unknown);
        }
        if answered {
            return Ok(Replied::AlreadyEnded);
        }
        if told < attempt {
            return Ok(Replied::Stale);
        }
        self.store(work, analysis_id).await?;
        Ok(Replied::Accepted)
    }
}

impl OutsideReply {
    /// A parked or waiting job is ready at once. A leased one stays with its
    /// worker, which is about to park it or to give it back: it is ready then.
    async fn store(&self, work: &mut Work<'_>, analysis_id: i64) -> Result<(), StoreError> {
        let now = work.now;
        run!(
            work.tx.conn().await?,
            STORE_REPLY,
            [
                self.body.as_str(),
                now.0,
                self.job_id,
                i64::from(self.attempt)
            ],
            execute
        )?;
        let detail = format!("attempt {}, {} bytes", self.attempt, self.body.len());
        work.note(analysis_id, Happening::Replied, detail);
        work.jobs_changed = true;
        Ok(())
    }
}
