//! The queue as a whole.

use crate::store::{
    QueueStats, StoreError, UnixMillis,
    database::{Conn, Sql, run},
};

const NEXT_DUE: Sql = Sql::same(
    "SELECT min(due) FROM (
         SELECT min(lease_until) AS due FROM jobs WHERE state IN ('leased', 'parked')
         UNION ALL
         SELECT min(available_at) FROM jobs WHERE state = 'queued' AND available_at > $1
         UNION ALL
         SELECT min(deadline) FROM jobs WHERE state IN ('queued', 'leased', 'parked')) AS dues",
);

const STATS: Sql = Sql::same(
    "SELECT count(*) FILTER (WHERE state = 'queued' AND available_at <= $1),
            count(*) FILTER (WHERE state = 'queued' AND available_at > $1),
            count(*) FILTER (WHERE state = 'leased'),
            count(*) FILTER (WHERE state = 'parked'),
            min(available_at) FILTER (WHERE state = 'queued'),
            min(created_at)
     FROM jobs WHERE state IN ('queued', 'leased', 'parked')",
);

pub(in crate::store) async fn next_due(
    conn: Conn<'_>,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, StoreError> {
    let (due,): (Option<i64>,) = run!(conn, NEXT_DUE, [now.0], fetch_one)?;
    Ok(due.map(UnixMillis))
}

/// The CASE is that of the index `jobs_to_announce`, word for word.
const NEXT_ANNOUNCEMENT: Sql = Sql::same(
    "SELECT CASE WHEN announced_for = available_at THEN announce_again_at ELSE available_at END
     FROM jobs WHERE state = 'queued'
     ORDER BY CASE WHEN announced_for = available_at THEN announce_again_at ELSE available_at END
     LIMIT 1",
);

pub(in crate::store) async fn next_announcement(
    conn: Conn<'_>,
) -> Result<Option<UnixMillis>, StoreError> {
    let next: Option<(i64,)> = run!(conn, NEXT_ANNOUNCEMENT, [], fetch_optional)?;
    Ok(next.map(|(at,)| UnixMillis(at)))
}

pub(in crate::store) async fn queue_stats(
    conn: Conn<'_>,
    now: UnixMillis,
) -> Result<QueueStats, StoreError> {
    let (ready, waiting, leased, parked, ready_since, open_since): (
        i64,
        i64,
        i64,
        i64,
        Option<i64>,
        Option<i64>,
    ) = run!(conn, STATS, [now.0], fetch_one)?;
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    let age =
        |since: Option<i64>| since.map_or_else(Default::default, |at| now.since(UnixMillis(at)));
    Ok(QueueStats {
        ready: count(ready),
        waiting: count(waiting),
        leased: count(leased),
        parked: count(parked),
        oldest_ready: age(ready_since),
        oldest_open: age(open_since),
    })
}
