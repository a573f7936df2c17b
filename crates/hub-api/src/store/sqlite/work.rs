//! One transaction in the making: what its operations share.
//!
//! Operations change rows at once. What is the same for all (log entries,
//! timeline lines) is gathered here and written in few statements at the end.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use sqlx::{Row, SqliteConnection};

use super::{
    statement::{Args, MAX_ROWS, RowsStatement},
    transaction::Transaction,
};
use crate::store::{Happening, LoggedEntry, StoreError, Stream, UnixMillis};

/// An open transaction of the writer.
#[derive(Debug)]
pub(super) struct Work<'c> {
    /// The transaction itself.
    pub(super) tx: Transaction<'c>,
    /// The time of the transaction.
    pub(super) now: UnixMillis,
    /// Set when a job may have become ready, or due earlier.
    pub(super) jobs_changed: bool,
    entries: Vec<LoggedEntry>,
    endings: Vec<i64>,
    timeline: Vec<TimelineLine>,
}

/// What a transaction leaves behind once it is committed.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The log entries, in commit order.
    pub(super) entries: Vec<LoggedEntry>,
    /// The notification ids among them that ended an analysis.
    pub(super) endings: Vec<i64>,
    /// See [`Work::jobs_changed`].
    pub(super) jobs_changed: bool,
}

/// A log entry without its place in the log.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) stream: Stream,
    pub(super) event: Arc<str>,
    pub(super) payload: Arc<str>,
    pub(super) analysis_id: Option<i64>,
    /// True when this ends the analysis, so that its way is worth a timeline.
    pub(super) ending: bool,
}

/// An entry's place in the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) notification_id: i64,
    pub(super) sequence: i64,
}

/// What the counters gave: the first notification id, and the first sequence
/// of each stream.
struct Taken {
    next_id: i64,
    next: HashMap<Stream, i64>,
}

#[derive(Debug)]
struct TimelineLine {
    analysis_id: i64,
    at: UnixMillis,
    kind: Happening,
    detail: String,
}

/// Both counters in one hop: notification ids, then the streams' sequences.
static ADVANCE: LazyLock<RowsStatement> = LazyLock::new(|| {
    RowsStatement::new(
        2,
        "UPDATE store SET last_notification = last_notification + ?
         RETURNING NULL, last_notification;
         INSERT INTO streams (stream, head)
         SELECT column1, column2 FROM {rows} WHERE column1 IS NOT NULL
         ON CONFLICT (stream) DO UPDATE SET head = head + excluded.head
         RETURNING stream, head",
    )
});

static INSERT_LOG: LazyLock<RowsStatement> = LazyLock::new(|| {
    RowsStatement::new(
        7,
        "INSERT INTO log (id, stream, sequence, event, payload, analysis_id, created_at)
         SELECT column1, column2, column3, column4, column5, column6, column7
         FROM {rows} WHERE column1 IS NOT NULL",
    )
});

static INSERT_TIMELINE: LazyLock<RowsStatement> = LazyLock::new(|| {
    RowsStatement::new(
        4,
        "INSERT INTO timeline (analysis_id, at, kind, detail)
         SELECT column1, column2, column3, column4 FROM {rows} WHERE column1 IS NOT NULL",
    )
});

impl<'c> Work<'c> {
    pub(super) fn new(conn: &'c mut SqliteConnection, now: UnixMillis) -> Self {
        Self {
            tx: Transaction::new(conn),
            now,
            jobs_changed: false,
            entries: Vec::new(),
            endings: Vec::new(),
            timeline: Vec::new(),
        }
    }

    /// Adds a line to the timeline of an analysis, now.
    pub(super) fn note(&mut self, analysis_id: i64, kind: Happening, detail: impl Into<String>) {
        self.note_at(self.now, analysis_id, kind, detail);
    }

    /// Adds a line to the timeline of an analysis.
    pub(super) fn note_at(
        &mut self,
        at: UnixMillis,
        analysis_id: i64,
        kind: Happening,
        detail: impl Into<String>,
    ) {
        self.timeline.push(TimelineLine {
            analysis_id,
            at,
            kind,
            detail: detail.into(),
        });
    }

    /// Gives each draft its place: the next notification id, and the next
    /// sequence of its stream's counter row. This is the only place where
    /// either is taken. The entries themselves are written by [`finish`](Self::finish).
    pub(super) async fn log(&mut self, drafts: Vec<Draft>) -> Result<Vec<Place>, StoreError> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        assert!(drafts.len() <= MAX_ROWS, "callers log a batch at a time");
        let Taken {
            mut next_id,
            mut next,
        } = self.advance(&drafts).await?;
        let mut places = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let sequence = next.get_mut(&draft.stream).ok_or(NO_COUNTER)?;
            let place = Place {
                notification_id: next_id,
                sequence: *sequence,
            };
            *sequence += 1;
            next_id += 1;
            if draft.ending {
                self.endings.push(place.notification_id);
            }
            self.entries.push(LoggedEntry {
                notification_id: place.notification_id,
                stream: draft.stream,
                sequence: place.sequence,
                event: draft.event,
                payload: draft.payload,
                analysis_id: draft.analysis_id,
                created_at: self.now,
            });
            places.push(place);
        }
        Ok(places)
    }

    /// Takes a notification id and a sequence for each draft.
    ///
    /// The counter rows are updated in the order of the stream's key, as two
    /// writers of a database with row locks would have to.
    async fn advance(&mut self, drafts: &[Draft]) -> Result<Taken, StoreError> {
        let mut counts: BTreeMap<&Stream, i64> = BTreeMap::new();
        for draft in drafts {
            *counts.entry(&draft.stream).or_default() += 1;
        }
        let wanted: Vec<(&Stream, i64)> = counts.into_iter().collect();
        let count = i64::try_from(drafts.len()).expect("a batch is small");
        let mut args = Args::default();
        args.push(count);
        let bind = |args: &mut Args, (stream, count): &(&Stream, i64)| {
            args.push(stream.to_arc()).push(*count);
        };
        let rows = self.tx.fetch_chunk(&ADVANCE, args, &wanted, bind).await?;
        let mut last_id = None;
        let mut heads: HashMap<&str, i64> = HashMap::with_capacity(rows.len());
        for row in &rows {
            match row.try_get(0)? {
                Some(stream) => drop(heads.insert(stream, row.try_get(1)?)),
                None => last_id = Some(row.try_get::<i64, _>(1)?),
            }
        }
        let mut next = HashMap::with_capacity(wanted.len());
        for (stream, count) in wanted {
            let head = heads.get(stream.as_str()).ok_or(NO_COUNTER)?;
            next.insert(stream.clone(), head - count + 1);
        }
        Ok(Taken {
            next_id: last_id.ok_or(NO_COUNTER)? - count + 1,
            next,
        })
    }

    /// Writes what was gathered and commits.
    pub(super) async fn commit(mut self) -> Result<Outcome, StoreError> {
        self.tx
            .execute_rows(&INSERT_TIMELINE, &self.timeline, |args, line| {
                args.push(line.analysis_id)
                    .push(line.at.0)
                    .push(line.kind.as_str())
                    .push(line.detail.clone());
            })
            .await?;
        self.tx
            .commit_rows(&INSERT_LOG, &self.entries, |args, entry| {
                args.push(entry.notification_id)
                    .push(entry.stream.to_arc())
                    .push(entry.sequence)
                    .push(Arc::clone(&entry.event))
                    .push(Arc::clone(&entry.payload))
                    .push(entry.analysis_id)
                    .push(entry.created_at.0);
            })
            .await?;
        Ok(Outcome {
            entries: self.entries,
            endings: self.endings,
            jobs_changed: self.jobs_changed,
        })
    }
}

const NO_COUNTER: StoreError = StoreError::Unreadable {
    what: "stream counter",
};
