//! Who works on what, and what went wrong lately: for an operator.

use crate::store::{
    Happening, Store, StoreError, TimelineEntry, UnixMillis,
    database::{Conn, Sql, columns, run},
    decode::count_from_row,
    jobs::Holder,
    timeline::Setback,
};

/// The most workers that are told.
const MOST_HOLDERS: i64 = 50;

/// Lines of timelines that are looked through for setbacks: where there were
/// none lately, the whole table is not read.
const WINDOW: i64 = 5_000;

const HOLDERS: Sql = Sql::same(
    "SELECT worker_id, count(*) FILTER (WHERE state = 'leased'),
            count(*) FILTER (WHERE state = 'parked')
     FROM jobs WHERE state IN ('leased', 'parked') AND worker_id IS NOT NULL
     GROUP BY worker_id ORDER BY count(*) DESC, worker_id LIMIT $1",
);

const SETBACKS: Sql = Sql::same(
    "SELECT analysis_id, at, kind, detail FROM timeline
     WHERE id > (SELECT coalesce(max(id), 0) FROM timeline) - $1
       AND kind IN ($2, $3, $4, $5)
     ORDER BY id DESC LIMIT $6",
);

columns!(SetbackRow {
    analysis_id: i64,
    at: i64,
    kind: String,
    detail: String,
});

impl Store {
    /// The workers that hold most jobs, on all hubs.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be read.
    pub async fn holders(&self) -> Result<Vec<Holder>, StoreError> {
        self.read(holders).await
    }

    /// What went wrong with analyses lately, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    pub async fn setbacks(&self, limit: u32) -> Result<Vec<Setback>, StoreError> {
        self.read(async |conn| setbacks(conn, limit).await).await
    }
}

async fn holders(conn: Conn<'_>) -> Result<Vec<Holder>, StoreError> {
    let rows: Vec<(String, i64, i64)> = run!(conn, HOLDERS, [MOST_HOLDERS], fetch_all)?;
    let holder = |(worker, leased, parked)| Holder {
        worker,
        leased: count_from_row(leased),
        parked: count_from_row(parked),
    };
    Ok(rows.into_iter().map(holder).collect())
}

async fn setbacks(conn: Conn<'_>, limit: u32) -> Result<Vec<Setback>, StoreError> {
    let [retried, expired, dead, failed] = Happening::SETBACKS.map(Happening::as_str);
    let rows: Vec<SetbackRow> = run!(
        conn,
        SETBACKS,
        [WINDOW, retried, expired, dead, failed, i64::from(limit)],
        fetch_all
    )?;
    rows.into_iter().map(setback).collect()
}

fn setback(row: SetbackRow) -> Result<Setback, StoreError> {
    let kind = Happening::SETBACKS
        .into_iter()
        .find(|kind| kind.as_str() == row.kind)
        .ok_or(StoreError::Unreadable { what: "timeline" })?;
    Ok(Setback {
        analysis_id: row.analysis_id,
        entry: TimelineEntry {
            at: UnixMillis(row.at),
            kind,
            detail: row.detail,
        },
    })
}
