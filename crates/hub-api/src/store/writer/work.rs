//! One transaction in the making: what its operations share.
//!
//! Operations change rows at once. What is the same for all (log entries,
//! timeline lines) is gathered here and written in few statements at the end.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, LazyLock},
};

use crate::store::{
    Happening, LoggedEntry, StoreError, Stream, UnixMillis,
    database::{
        Args,
        Kind::{Int, Text},
        MAX_ROWS, RowsStatement, Sql, Transaction,
    },
};
use telemetry::trace::TraceParent;

/// An open transaction of the writer.
#[derive(Debug)]
pub(in crate::store) struct Work<'c> {
    /// The transaction itself.
    pub(in crate::store) tx: Transaction<'c>,
    /// The time of the transaction.
    pub(in crate::store) now: UnixMillis,
    /// Set when a job may have become ready, or due earlier.
    pub(in crate::store) jobs_changed: bool,
    entries: Vec<LoggedEntry>,
    endings: Vec<i64>,
    timeline: Vec<TimelineLine>,
}

/// What a transaction leaves behind once it is committed.
#[derive(Debug, Default)]
pub(in crate::store) struct Outcome {
    /// The log entries, in commit order.
    pub(in crate::store) entries: Vec<LoggedEntry>,
    /// The notification ids among them that ended an analysis.
    pub(in crate::store) endings: Vec<i64>,
    /// See [`Work::jobs_changed`].
    pub(in crate::store) jobs_changed: bool,
}

/// A log entry without its place in the log.
#[derive(Debug)]
pub(in crate::store) struct Draft {
    pub(in crate::store) stream: Stream,
    pub(in crate::store) event: Arc<str>,
    pub(in crate::store) payload: Arc<str>,
    pub(in crate::store) analysis_id: Option<i64>,
    /// True when this ends the analysis, so that its way is worth a timeline.
    pub(in crate::store) ending: bool,
    /// Where in a trace it was posted.
    pub(in crate::store) trace: Option<TraceParent>,
}

/// An entry's place in the log.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Place {
    pub(in crate::store) notification_id: i64,
    pub(in crate::store) sequence: i64,
}

#[derive(Debug)]
struct TimelineLine {
    analysis_id: i64,
    at: UnixMillis,
    kind: Happening,
    detail: String,
}

/// Both counters in one hop: rows without a stream are notification ids.
///
/// In SQLite they are read, where they are not known, and written with the
/// entries. In PostgreSQL they are advanced: the ids are of a sequence, which
/// makes no hub wait for another one. The streams' rows are locked in the order
/// of their keys, and the ids taken behind that: so ids follow the sequence
/// within each stream.
static COUNTERS: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql {
        sqlite: "SELECT NULL, last_notification FROM store
            UNION ALL
            SELECT s.stream, s.head FROM {rows} v CROSS JOIN streams s
            WHERE s.stream = v.column1",
        postgres: "WITH advanced AS (
                INSERT INTO streams AS s (stream, head)
                SELECT v.column1, v.column2 FROM {rows} v ORDER BY v.column1 COLLATE \"C\"
                ON CONFLICT (stream) DO UPDATE SET head = s.head + excluded.head
                RETURNING stream, head)
            SELECT stream, head FROM advanced
            UNION ALL
            SELECT NULL, nextval('notification_ids') FROM generate_series(1, $3)",
    };
    RowsStatement::new(&[Text, Int], template)
});

/// In SQLite it brings the counters up to what the log then holds. An id that
/// they have passed already was taken by another process: its entry has no
/// sequence, which the table refuses.
static INSERT_LOG: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql {
        sqlite: "INSERT INTO log (id, stream, sequence, event, payload, analysis_id, created_at)
            SELECT column1, column2, iif(column1 > s.last_notification, column3, NULL),
                   column4, column5, column6, column7
            FROM store s CROSS JOIN {rows} v WHERE column1 IS NOT NULL;
            INSERT INTO streams (stream, head)
            SELECT stream, sequence FROM log WHERE id > (SELECT last_notification FROM store)
            ON CONFLICT (stream) DO UPDATE SET head = max(head, excluded.head);
            UPDATE store SET last_notification = (SELECT max(id) FROM log)",
        postgres: "INSERT INTO log (id, stream, sequence, event, payload, analysis_id, created_at)
            SELECT column1, column2, column3, column4, column5, column6, column7
            FROM {rows} v",
    };
    RowsStatement::new(&[Int, Text, Int, Text, Text, Int, Int], template)
});

/// A client that never confirms is handed the same entry whenever it connects:
/// after the first twenty times that says nothing new.
static INSERT_TIMELINE: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql::same(
        "INSERT INTO timeline (analysis_id, at, kind, detail)
         SELECT v.column1, v.column2, v.column3, v.column4 FROM {rows} v
         WHERE v.column1 IS NOT NULL AND (v.column3 <> 'handed' OR 20 > (
             SELECT count(*) FROM timeline t
             WHERE t.analysis_id = v.column1 AND t.kind = 'handed'))",
    );
    RowsStatement::new(&[Int, Int, Text, Text], template)
});

impl<'c> Work<'c> {
    pub(in crate::store) fn new((tx, now): (Transaction<'c>, UnixMillis)) -> Self {
        Self {
            tx,
            now,
            jobs_changed: false,
            entries: Vec::new(),
            endings: Vec::new(),
            timeline: Vec::new(),
        }
    }

    /// Adds a line to the timeline of an analysis, now.
    pub(in crate::store) fn note(
        &mut self,
        analysis_id: i64,
        kind: Happening,
        detail: impl Into<String>,
    ) {
        self.note_at(self.now, analysis_id, kind, detail);
    }

    /// Adds a line to the timeline of an analysis.
    pub(in crate::store) fn note_at(
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
    /// either is taken. The entries themselves are written by [`commit`](Self::commit).
    pub(in crate::store) async fn log(
        &mut self,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Place>, StoreError> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        assert!(drafts.len() <= MAX_ROWS, "callers log a batch at a time");
        let places = match self.tx.counters() {
            Some(_) => self.take_known(&drafts).await?,
            None => self.advance(&drafts).await?,
        };
        for (draft, place) in drafts.into_iter().zip(&places) {
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
                trace: draft.trace,
            });
        }
        Ok(places)
    }

    /// The head of a stream with what this transaction has taken, where it is
    /// not in its row yet.
    pub(in crate::store) fn head_with_taken(&mut self, stream: &Stream) -> Option<i64> {
        self.tx.counters()?.head(stream)
    }

    /// Takes places from the counters that this process keeps in mind, which
    /// are read where they are not known.
    async fn take_known(&mut self, drafts: &[Draft]) -> Result<Vec<Place>, StoreError> {
        let counters = self.tx.counters().ok_or(NO_COUNTER)?;
        let streams = drafts.iter().map(|draft| &draft.stream);
        let unknown: BTreeSet<&Stream> = streams
            .filter(|each| counters.head(each).is_none())
            .collect();
        if !unknown.is_empty() {
            let unknown: Vec<&Stream> = unknown.into_iter().collect();
            let bind = |args: &mut Args, stream: &&Stream| {
                args.push(stream.to_arc()).push(None::<i64>);
            };
            let rows = self.tx.fetch_chunk(&COUNTERS, None, &unknown, bind).await?;
            let rows: Vec<(Option<String>, i64)> = rows;
            self.tx.counters().ok_or(NO_COUNTER)?.learn(&unknown, rows);
        }
        let counters = self.tx.counters().ok_or(NO_COUNTER)?;
        let places = drafts.iter().map(|draft| {
            let (notification_id, sequence) = counters.take(&draft.stream).ok_or(NO_COUNTER)?;
            Ok(Place {
                notification_id,
                sequence,
            })
        });
        places.collect()
    }

    /// Takes places from the counters that all hubs advance.
    ///
    /// The counter rows are updated in the order of the stream's key, so that
    /// two hubs never wait for each other.
    async fn advance(&mut self, drafts: &[Draft]) -> Result<Vec<Place>, StoreError> {
        let mut counts: BTreeMap<&Stream, i64> = BTreeMap::new();
        for draft in drafts {
            *counts.entry(&draft.stream).or_default() += 1;
        }
        let wanted: Vec<(&Stream, i64)> = counts.into_iter().collect();
        let count = i64::try_from(drafts.len()).expect("a batch is small");
        let bind = |args: &mut Args, (stream, count): &(&Stream, i64)| {
            args.push(stream.to_arc()).push(*count);
        };
        let rows: Vec<(Option<String>, i64)> = self
            .tx
            .fetch_chunk(&COUNTERS, Some(count), &wanted, bind)
            .await?;
        let mut ids = Vec::with_capacity(drafts.len());
        let mut heads: HashMap<String, i64> = HashMap::with_capacity(rows.len());
        for (stream, value) in rows {
            match stream {
                Some(stream) => drop(heads.insert(stream, value)),
                None => ids.push(value),
            }
        }
        ids.sort_unstable();
        if ids.len() != drafts.len() {
            return Err(NO_COUNTER);
        }
        let mut next = HashMap::with_capacity(wanted.len());
        for (stream, count) in wanted {
            let head = heads.get(stream.as_str()).ok_or(NO_COUNTER)?;
            next.insert(stream, head - count + 1);
        }
        let places = drafts.iter().zip(ids).map(|(draft, notification_id)| {
            let next = next.get_mut(&draft.stream).ok_or(NO_COUNTER)?;
            let sequence = *next;
            *next += 1;
            Ok(Place {
                notification_id,
                sequence,
            })
        });
        places.collect()
    }

    /// Writes what was gathered and commits.
    pub(in crate::store) async fn commit(mut self) -> Result<Outcome, StoreError> {
        self.tx
            .execute_rows(&INSERT_TIMELINE, &self.timeline, |args, line| {
                args.push(line.analysis_id)
                    .push(line.at.0)
                    .push(line.kind.as_str())
                    .push(line.detail.clone());
            })
            .await?;
        self.tx
            .commit_entries(&INSERT_LOG, &self.entries, |args, entry| {
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
