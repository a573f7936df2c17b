//! What is older than its retention is deleted, in bounded batches.

use std::{collections::BTreeMap, sync::LazyLock};

use crate::store::{
    Purged, Retention, StoreError, StreamHead, UnixMillis,
    database::{
        Kind::{Int, Text},
        RowsStatement, Sql, run,
    },
    options::IDEMPOTENCY_AT_LEAST,
    writer::{Locks, Operation, Work},
};

/// One bounded round.
#[derive(Debug)]
pub(in crate::store) struct Purge {
    pub(in crate::store) retention: Retention,
    /// Streams that had more entries than they keep, when it was looked.
    pub(in crate::store) crowded: Vec<StreamHead>,
}

impl Operation for Purge {
    type Output = Purged;

    fn locks(&self) -> Locks<'_> {
        Locks::Many
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<Purged, StoreError> {
        let (my_turn,): (bool,) = run!(work.tx.conn().await?, MY_TURN, [], fetch_one)?;
        if !my_turn {
            return Ok(Purged::default());
        }
        let Retention {
            idempotency,
            log,
            entries_per_stream,
            batch,
        } = self.retention;
        let keys_before = work.now - idempotency.max(IDEMPOTENCY_AT_LEAST);
        let idempotency_keys = purge_prefix(work, &KEYS, keys_before, batch).await?;
        // What happened to an analysis is kept as long as what was said of it.
        let timeline_lines = purge_prefix(work, &TIMELINE, work.now - log, batch).await?;
        let mut log_entries = purge_log(work, work.now - log, batch).await?;
        // Not both at once: each locks its streams in the order of their keys.
        if log_entries == 0 && !self.crowded.is_empty() {
            let most = i64::from(entries_per_stream);
            log_entries = purge_crowded(work, &self.crowded, most, batch).await?;
        }
        let full = u64::from(batch);
        Ok(Purged {
            idempotency_keys,
            timeline_lines,
            log_entries,
            more: idempotency_keys >= full
                || timeline_lines >= full
                || log_entries >= full
                || self.crowded.len() as u64 >= full
                || (log_entries > 0 && !self.crowded.is_empty()),
        })
    }
}

/// One hub at a time purges; in SQLite there is but one.
const MY_TURN: Sql = Sql {
    sqlite: "SELECT TRUE",
    postgres: "SELECT pg_try_advisory_xact_lock(7091435842617)",
};

/// A table of which a prefix is deleted.
struct Prefix {
    oldest: Sql,
    delete: Sql,
}

const KEYS: Prefix = Prefix {
    oldest: Sql::same("SELECT id, created_at FROM idempotency_keys ORDER BY id LIMIT $1"),
    delete: Sql::same("DELETE FROM idempotency_keys WHERE id <= $1"),
};

const TIMELINE: Prefix = Prefix {
    oldest: Sql::same("SELECT id, at FROM timeline ORDER BY id LIMIT $1"),
    delete: Sql::same("DELETE FROM timeline WHERE id <= $1"),
};

const OLDEST_ENTRIES: Sql =
    Sql::same("SELECT id, created_at, stream, sequence FROM log ORDER BY id LIMIT $1");

const DELETE_ENTRIES: Sql = Sql::same("DELETE FROM log WHERE id <= $1");

/// In PostgreSQL in the order of the keys, as those who append lock them.
static RAISE_OLDEST: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql {
        sqlite: "UPDATE streams SET oldest = v.column2 FROM {rows} v
            WHERE streams.stream = v.column1 AND streams.oldest < v.column2",
        postgres: "WITH s AS MATERIALIZED (
                SELECT s.stream, v.column2 FROM {rows} v JOIN streams s ON s.stream = v.column1
                ORDER BY s.stream FOR UPDATE OF s)
            UPDATE streams SET oldest = s.column2 FROM s
            WHERE streams.stream = s.stream AND streams.oldest < s.column2",
    };
    RowsStatement::new(&[Text, Int], template)
});

/// The tables grow in the order of their ids, so what is old is a prefix of
/// them: no index on the time is needed, and a clock that was set back only
/// keeps rows longer.
async fn purge_prefix(
    work: &mut Work<'_>,
    table: &Prefix,
    before: UnixMillis,
    batch: u32,
) -> Result<u64, StoreError> {
    let oldest: Vec<(i64, i64)> = run!(
        work.tx.conn().await?,
        table.oldest,
        [i64::from(batch)],
        fetch_all
    )?;
    let old = oldest.iter().take_while(|(_, at)| *at < before.0);
    let Some((last, _)) = old.last() else {
        return Ok(0);
    };
    Ok(run!(work.tx.conn().await?, table.delete, [*last], execute)?)
}

/// Ids follow the sequence within each stream, so a prefix of the log is a
/// prefix of every stream in it.
async fn purge_log(work: &mut Work<'_>, before: UnixMillis, batch: u32) -> Result<u64, StoreError> {
    let oldest: Vec<(i64, i64, String, i64)> = run!(
        work.tx.conn().await?,
        OLDEST_ENTRIES,
        [i64::from(batch)],
        fetch_all
    )?;
    let mut last = None;
    let mut newest_gone: BTreeMap<String, i64> = BTreeMap::new();
    for (id, _, stream, sequence) in oldest.into_iter().take_while(|(_, at, ..)| *at < before.0) {
        last = Some(id);
        newest_gone.insert(stream, sequence);
    }
    let Some(last) = last else {
        return Ok(0);
    };
    let newest_gone: Vec<(String, i64)> = newest_gone.into_iter().collect();
    work.tx
        .execute_rows(&RAISE_OLDEST, &newest_gone, |args, (stream, sequence)| {
            args.push(stream.clone()).push(sequence + 1);
        })
        .await?;
    Ok(run!(
        work.tx.conn().await?,
        DELETE_ENTRIES,
        [last],
        execute
    )?)
}

const OLDEST_OF: Sql = Sql::same("SELECT oldest FROM streams WHERE stream = $1");

const DELETE_BELOW: Sql = Sql::same("DELETE FROM log WHERE stream = $1 AND sequence < $2");

/// Deletes what the streams have too much, at most `room` entries in all.
async fn purge_crowded(
    work: &mut Work<'_>,
    crowded: &[StreamHead],
    most: i64,
    room: u32,
) -> Result<u64, StoreError> {
    let mut crowded: Vec<&StreamHead> = crowded.iter().collect();
    crowded.sort_unstable_by(|a, b| a.stream.cmp(&b.stream));
    let mut room = i64::from(room);
    let mut deleted = 0;
    for StreamHead { stream, head } in crowded {
        let found: Option<(i64,)> = run!(
            work.tx.conn().await?,
            OLDEST_OF,
            [stream.as_str()],
            fetch_optional
        )?;
        let Some((oldest,)) = found else { continue };
        let kept = (head - most + 1).min(oldest + room);
        if kept <= oldest {
            continue;
        }
        room -= kept - oldest;
        work.tx
            .execute_rows(&RAISE_OLDEST, &[stream], |args, stream| {
                args.push(stream.to_arc()).push(kept);
            })
            .await?;
        deleted += run!(
            work.tx.conn().await?,
            DELETE_BELOW,
            [stream.as_str(), kept],
            execute
        )?;
    }
    Ok(deleted)
}
