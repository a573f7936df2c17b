//! The notification log.

use std::sync::Arc;

use sqlx::{Row, Sqlite, SqliteExecutor, SqlitePool, sqlite::SqliteRow};

use crate::store::{LoggedEntry, Page, StoreError, Stream, StreamState, UnixMillis};

/// The most entries of a page.
const MAX_PAGE: u32 = 1000;

pub(in crate::store::sqlite) async fn epoch(readers: &SqlitePool) -> Result<Arc<str>, StoreError> {
    let epoch: String = sqlx::query_scalar("SELECT epoch FROM store")
        .fetch_one(readers)
        .await?;
    Ok(epoch.into())
}

pub(in crate::store::sqlite) async fn stream_state<'e>(
    executor: impl SqliteExecutor<'e, Database = Sqlite>,
    epoch: Arc<str>,
    stream: &Stream,
) -> Result<StreamState, StoreError> {
    let row =
        sqlx::query("SELECT oldest, head, confirmed, acknowledged FROM streams WHERE stream = ?")
            .bind(stream.to_arc())
            .fetch_optional(executor)
            .await?;
    match row {
        Some(row) => state(&row, epoch),
        None => Ok(StreamState {
            epoch,
            oldest: 1,
            head: 0,
            confirmed: 0,
            acknowledged: 0,
        }),
    }
}

/// The state and the entries come from one statement, so that no entry is
/// committed, or purged, between the two.
pub(in crate::store::sqlite) async fn entries(
    readers: &SqlitePool,
    epoch: Arc<str>,
    stream: &Stream,
    after: i64,
    limit: u32,
) -> Result<Page, StoreError> {
    let rows = sqlx::query(
        "SELECT s.oldest, s.head, s.confirmed, s.acknowledged,
                l.id, l.sequence, l.event, l.payload, l.analysis_id, l.created_at
         FROM streams s LEFT JOIN log l ON l.stream = s.stream AND l.sequence > ?
         WHERE s.stream = ? ORDER BY l.sequence LIMIT ?",
    )
    .bind(after)
    .bind(stream.to_arc())
    .bind(limit.clamp(1, MAX_PAGE))
    .fetch_all(readers)
    .await?;
    let state = match rows.first() {
        Some(row) => state(row, epoch)?,
        None => StreamState {
            epoch,
            oldest: 1,
            head: 0,
            confirmed: 0,
            acknowledged: 0,
        },
    };
    let entries = rows
        .iter()
        .filter_map(|row| entry(row, stream).transpose())
        .collect::<Result<_, _>>()?;
    Ok(Page { state, entries })
}

fn state(row: &SqliteRow, epoch: Arc<str>) -> Result<StreamState, StoreError> {
    Ok(StreamState {
        epoch,
        oldest: row.try_get(0)?,
        head: row.try_get(1)?,
        confirmed: row.try_get(2)?,
        acknowledged: row.try_get(3)?,
    })
}

/// A stream without entries above `after` gives one row without one.
fn entry(row: &SqliteRow, stream: &Stream) -> Result<Option<LoggedEntry>, StoreError> {
    let Some(notification_id) = row.try_get(4)? else {
        return Ok(None);
    };
    Ok(Some(LoggedEntry {
        notification_id,
        stream: stream.clone(),
        sequence: row.try_get(5)?,
        event: row.try_get::<&str, _>(6)?.into(),
        payload: row.try_get::<&str, _>(7)?.into(),
        analysis_id: row.try_get(8)?,
        created_at: UnixMillis(row.try_get(9)?),
    }))
}
