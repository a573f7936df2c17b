//! The queue as a whole.

use sqlx::{Row, SqlitePool};

use crate::store::{QueueStats, StoreError, UnixMillis};

pub(in crate::store::sqlite) async fn next_due(
    readers: &SqlitePool,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, StoreError> {
    let due: Option<i64> = sqlx::query_scalar(
        "SELECT min(due) FROM (
            SELECT min(lease_until) AS due FROM jobs WHERE state IN ('leased', 'parked')
            UNION ALL
            SELECT min(available_at) FROM jobs WHERE state = 'queued' AND available_at > ?
            UNION ALL
            SELECT min(deadline) FROM jobs WHERE state IN ('queued', 'leased', 'parked'))",
    )
    .bind(now.0)
    .fetch_one(readers)
    .await?;
    Ok(due.map(UnixMillis))
}

pub(in crate::store::sqlite) async fn queue_stats(
    readers: &SqlitePool,
    now: UnixMillis,
) -> Result<QueueStats, StoreError> {
    let row = sqlx::query(
        "SELECT count(*) FILTER (WHERE state = 'queued' AND available_at <= ?1),
                count(*) FILTER (WHERE state = 'queued' AND available_at > ?1),
                count(*) FILTER (WHERE state = 'leased'),
                count(*) FILTER (WHERE state = 'parked'),
                min(available_at) FILTER (WHERE state = 'queued'),
                min(created_at)
         FROM jobs WHERE state IN ('queued', 'leased', 'parked')",
    )
    .bind(now.0)
    .fetch_one(readers)
    .await?;
    let count = |index: usize| -> Result<u64, StoreError> {
        Ok(u64::try_from(row.try_get::<i64, _>(index)?).unwrap_or(0))
    };
    let age = |index: usize| -> Result<_, StoreError> {
        let since: Option<i64> = row.try_get(index)?;
        Ok(since.map_or_else(Default::default, |at| now.since(UnixMillis(at))))
    };
    Ok(QueueStats {
        ready: count(0)?,
        waiting: count(1)?,
        leased: count(2)?,
        parked: count(3)?,
        oldest_ready: age(4)?,
        oldest_open: age(5)?,
    })
}
