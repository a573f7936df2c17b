//! Ready jobs are handed to whoever tells the broker of them.

use std::{sync::LazyLock, time::Duration};

use crate::store::{
    Announcement, StoreError, UnixMillis,
    database::{Kind::Int, RowsStatement, Sql, columns, run},
    writer::{Locks, Operation, Work},
};

/// Takes ready jobs that are not announced, and keeps them from others for a while.
#[derive(Debug)]
pub(in crate::store) struct TakeAnnouncements {
    pub(in crate::store) max: u32,
    pub(in crate::store) hold: Duration,
}

/// The CASE is that of the index `jobs_to_announce`, word for word. What
/// another hub is announcing just now is left to it.
macro_rules! take {
    ($lock:literal) => {
        concat!(
            "WITH ready AS MATERIALIZED (
                 SELECT id FROM jobs
                 WHERE state = 'queued' AND deadline > $2
                   AND CASE WHEN announced_for = available_at THEN announce_again_at ELSE available_at END <= $2
                 ORDER BY CASE WHEN announced_for = available_at THEN announce_again_at ELSE available_at END
                 LIMIT $3 ",
            $lock,
            ") UPDATE jobs SET announced_for = available_at, announce_again_at = $1
             WHERE id IN (SELECT id FROM ready)
             RETURNING id, analysis_id, available_at"
        )
    };
}

const TAKE: Sql = Sql {
    sqlite: take!(""),
    postgres: take!("FOR UPDATE SKIP LOCKED"),
};

columns!(TakenRow {
    job_id: i64,
    analysis_id: i64,
    ready_at: i64,
});

impl Operation for TakeAnnouncements {
    type Output = Vec<Announcement>;

    async fn run(&self, work: &mut Work<'_>) -> Result<Vec<Announcement>, StoreError> {
        let (now, again_at) = (work.now, work.now + self.hold);
        let rows: Vec<TakenRow> = run!(
            work.tx.conn().await?,
            TAKE,
            [again_at.0, now.0, i64::from(self.max)],
            fetch_all
        )?;
        let mut taken: Vec<Announcement> = rows
            .into_iter()
            .map(|row| Announcement {
                job_id: row.job_id,
                analysis_id: row.analysis_id,
                ready_at: UnixMillis(row.ready_at),
            })
            .collect();
        // RETURNING promises no order.
        taken.sort_by_key(|job| (job.ready_at, job.job_id));
        Ok(taken)
    }
}

/// Sets when announced jobs are announced again.
#[derive(Debug)]
pub(in crate::store) struct AnnounceAgain {
    pub(in crate::store) jobs: Vec<i64>,
    pub(in crate::store) after: Duration,
}

/// Jobs are locked in the order of their keys, as everywhere.
static AGAIN: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql {
        sqlite: "UPDATE jobs SET announce_again_at = v.column2 FROM {rows} v
            WHERE jobs.id = v.column1 AND jobs.state = 'queued'",
        postgres: "WITH j AS MATERIALIZED (
                SELECT j.id, v.column2 FROM {rows} v JOIN jobs j ON j.id = v.column1
                WHERE j.state = 'queued' ORDER BY j.id FOR UPDATE OF j)
            UPDATE jobs SET announce_again_at = j.column2 FROM j WHERE jobs.id = j.id",
    };
    RowsStatement::new(&[Int, Int], template)
});

impl Operation for AnnounceAgain {
    type Output = ();

    fn locks(&self) -> Locks<'_> {
        Locks::Many
    }

    /// A job that became ready anew in the meantime has another `available_at`
    /// than it was announced for, so that this time is not looked at.
    async fn run(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let again_at = work.now + self.after;
        work.tx
            .execute_rows(&AGAIN, &self.jobs, |args, job| {
                args.push(*job).push(again_at.0);
            })
            .await
    }
}
