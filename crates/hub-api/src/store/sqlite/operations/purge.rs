//! What is older than its retention is deleted, in bounded batches.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{Row, sqlite::SqliteRow};

use crate::store::{
    Purged, Retention, StoreError, UnixMillis,
    sqlite::{queue::Operation, work::Work},
};

/// A client may repeat a request for a day.
const IDEMPOTENCY_AT_LEAST: Duration = Duration::from_secs(24 * 60 * 60);

/// One bounded round.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Purge {
    pub(in crate::store::sqlite) retention: Retention,
}

impl Operation for Purge {
    type Output = Purged;

    async fn run(&self, work: &mut Work<'_>) -> Result<Purged, StoreError> {
        let Retention {
            idempotency,
            log,
            batch,
        } = self.retention;
        let keys_before = work.now - idempotency.max(IDEMPOTENCY_AT_LEAST);
        let idempotency_keys = purge_keys(work, keys_before, batch).await?;
        let log_entries = purge_log(work, work.now - log, batch).await?;
        let full = u64::from(batch);
        Ok(Purged {
            idempotency_keys,
            log_entries,
            more: idempotency_keys >= full || log_entries >= full,
        })
    }
}

/// Both tables grow in the order of their ids, so what is old is a prefix of
/// them: no index on the time is needed, and a clock that was set back only
/// keeps rows longer.
async fn purge_keys(
    work: &mut Work<'_>,
    before: UnixMillis,
    batch: u32,
) -> Result<u64, StoreError> {
    let rows = sqlx::query("SELECT id, created_at FROM idempotency_keys ORDER BY id LIMIT ?")
        .bind(batch)
        .fetch_all(work.tx.conn().await?)
        .await?;
    let old = old_prefix(&rows, before)?;
    let Some(last) = old.last() else {
        return Ok(0);
    };
    sqlx::query("DELETE FROM idempotency_keys WHERE id <= ?")
        .bind(last.try_get::<i64, _>(0)?)
        .execute(work.tx.conn().await?)
        .await?;
    Ok(old.len() as u64)
}

/// Ids follow the sequence within each stream, so a prefix of the log is a
/// prefix of every stream in it.
async fn purge_log(work: &mut Work<'_>, before: UnixMillis, batch: u32) -> Result<u64, StoreError> {
    let rows = sqlx::query("SELECT id, created_at, stream, sequence FROM log ORDER BY id LIMIT ?")
        .bind(batch)
        .fetch_all(work.tx.conn().await?)
        .await?;
    let old = old_prefix(&rows, before)?;
    let Some(last) = old.last() else {
        return Ok(0);
    };
    let mut newest_gone: BTreeMap<&str, i64> = BTreeMap::new();
    for row in old {
        newest_gone.insert(row.try_get(2)?, row.try_get(3)?);
    }
    for (stream, sequence) in newest_gone {
        sqlx::query("UPDATE streams SET oldest = ? WHERE stream = ?")
            .bind(sequence + 1)
            .bind(stream)
            .execute(work.tx.conn().await?)
            .await?;
    }
    sqlx::query("DELETE FROM log WHERE id <= ?")
        .bind(last.try_get::<i64, _>(0)?)
        .execute(work.tx.conn().await?)
        .await?;
    Ok(old.len() as u64)
}

fn old_prefix(rows: &[SqliteRow], before: UnixMillis) -> Result<&[SqliteRow], StoreError> {
    let mut length = 0;
    for row in rows {
        if row.try_get::<i64, _>(1)? >= before.0 {
            break;
        }
        length += 1;
    }
    Ok(&rows[..length])
}
