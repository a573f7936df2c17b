//! What may be written late: confirmations, and how many connections an
//! entry was handed to.
//!
//! They are noted in memory and written with a transaction a little later.
//! Losing them in a crash costs a repeated delivery, so they are never worth
//! a transaction each.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::LazyLock,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::work::Work;
use crate::store::{
    Confirmation, Handed, Happening, ReceiptSource, StoreError, Stream, UnixMillis,
    database::{
        Kind::{Int, Text},
        MAX_ROWS, RowsStatement, Sql,
    },
};

/// Notes beyond this many of each kind are dropped: they are for the
/// operator's eye only.
const MAX_NOTES: usize = 8192;

/// What is noted and not yet written.
#[derive(Debug, Default)]
pub(in crate::store) struct Receipts {
    noted: Mutex<Noted>,
    /// Told when there is something to write and there was nothing before.
    pub(in crate::store) arrived: Notify,
}

#[derive(Debug, Default)]
struct Noted {
    /// The highest confirmation of each stream; as many as there are streams
    /// with live connections.
    confirmed: HashMap<Stream, Mark>,
    /// For timelines.
    handed: Vec<Handed>,
    attempts: Vec<Attempt>,
}

/// An entry was handed to connections of its user.
#[derive(Debug, Clone)]
pub(in crate::store) struct Attempt {
    pub(in crate::store) stream: Stream,
    pub(in crate::store) sequence: i64,
    pub(in crate::store) at: UnixMillis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    sequence: i64,
    source: ReceiptSource,
    at: UnixMillis,
}

/// A bounded share of the notes, while it is being written. They stay noted
/// until it is committed.
#[derive(Debug, Default)]
pub(in crate::store) struct Share {
    confirmed: Vec<(Stream, Mark)>,
    handed: Vec<Handed>,
    /// Without those that a noted confirmation covers, in this share or a later
    /// one: what is confirmed was sent, and need not be counted as well.
    attempts: Vec<Attempt>,
    /// How many were noted, with those.
    attempts_noted: usize,
}

/// The attempts of one entry.
struct Counted<'s> {
    stream: &'s Stream,
    sequence: i64,
    count: i64,
    last: UnixMillis,
}

impl Receipts {
    pub(in crate::store) fn confirm(&self, confirmations: Vec<Confirmation>) {
        let mut noted = self.noted.lock();
        let was_empty = noted.is_empty();
        for confirmation in confirmations {
            let Confirmation {
                stream,
                sequence,
                source,
                at,
            } = confirmation;
            let mark = Mark {
                sequence,
                source,
                at,
            };
            let known = noted.confirmed.entry(stream).or_insert(mark);
            if known.sequence < sequence {
                *known = mark;
            }
        }
        self.tell(&noted, was_empty);
    }

    /// Notes for timelines that entries were handed on.
    pub(in crate::store) fn record_handed(&self, handed: impl IntoIterator<Item = Handed>) {
        let mut noted = self.noted.lock();
        let was_empty = noted.is_empty();
        let room = MAX_NOTES.saturating_sub(noted.handed.len());
        noted.handed.extend(handed.into_iter().take(room));
        self.tell(&noted, was_empty);
    }

    /// Notes that entries were handed on.
    pub(in crate::store) fn record_attempts(&self, attempts: impl IntoIterator<Item = Attempt>) {
        let mut noted = self.noted.lock();
        let was_empty = noted.is_empty();
        let room = MAX_NOTES.saturating_sub(noted.attempts.len());
        noted.attempts.extend(attempts.into_iter().take(room));
        self.tell(&noted, was_empty);
    }

    fn tell(&self, noted: &Noted, was_empty: bool) {
        if was_empty && !noted.is_empty() {
            self.arrived.notify_one();
        }
    }

    /// How much waits to be written.
    pub(in crate::store) fn len(&self) -> usize {
        self.noted.lock().len()
    }

    /// The confirmation of `stream` that is not yet written, 0 when there is none.
    pub(in crate::store) fn confirmed(&self, stream: &Stream) -> i64 {
        self.noted
            .lock()
            .confirmed
            .get(stream)
            .map_or(0, |mark| mark.sequence)
    }

    /// A share to write: at most one statement's worth of each kind.
    pub(in crate::store) fn share(&self) -> Share {
        let noted = self.noted.lock();
        let confirmed = noted.confirmed.iter().take(MAX_ROWS);
        let (attempts, attempts_noted) = noted.unconfirmed_attempts();
        Share {
            confirmed: confirmed
                .map(|(stream, mark)| (stream.clone(), *mark))
                .collect(),
            handed: noted.handed.iter().take(MAX_ROWS).cloned().collect(),
            attempts,
            attempts_noted,
        }
    }

    /// Forgets what was written, but for what has grown since. Returns how
    /// much is left to write.
    pub(in crate::store) fn written(&self, share: &Share) -> usize {
        let mut noted = self.noted.lock();
        for (stream, mark) in &share.confirmed {
            if noted.confirmed.get(stream) == Some(mark) {
                noted.confirmed.remove(stream);
            }
        }
        noted.handed.drain(..share.handed.len());
        noted.attempts.drain(..share.attempts_noted);
        noted.len()
    }
}

impl Noted {
    fn len(&self) -> usize {
        self.confirmed.len() + self.handed.len() + self.attempts.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first attempts at what nobody has confirmed, one statement's worth,
    /// and how many were looked at for them.
    fn unconfirmed_attempts(&self) -> (Vec<Attempt>, usize) {
        let mut attempts = Vec::new();
        let mut seen = 0;
        for attempt in &self.attempts {
            if attempts.len() == MAX_ROWS {
                break;
            }
            seen += 1;
            let mark = self.confirmed.get(&attempt.stream);
            if mark.is_none_or(|mark| mark.sequence < attempt.sequence) {
                attempts.push(attempt.clone());
            }
        }
        (attempts, seen)
    }
}

/// In the order of their keys, as those who append lock them. SQLite has no
/// row locks and no use for them.
static LOCK_STREAMS: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql {
        sqlite: "SELECT column1 FROM {rows} v WHERE FALSE",
        postgres: "SELECT s.stream FROM {rows} v JOIN streams s ON s.stream = v.column1
            ORDER BY s.stream FOR UPDATE OF s",
    };
    RowsStatement::new(&[Text], template)
});

/// What was confirmed before is not looked at: SQLite would join the stream
/// last, and so read the whole of it for each confirmation.
static CONFIRM_ENTRIES: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql {
        sqlite: "UPDATE log SET confirmed_at = v.column3, receipt_source = v.column4
            FROM {rows} v
            WHERE log.stream = v.column1 AND log.sequence <= v.column2
              AND log.sequence > (SELECT confirmed FROM streams WHERE stream = v.column1)",
        postgres: "UPDATE log SET confirmed_at = v.column3, receipt_source = v.column4
            FROM {rows} v JOIN streams s ON s.stream = v.column1
            WHERE log.stream = s.stream
              AND log.sequence > s.confirmed AND log.sequence <= v.column2",
    };
    RowsStatement::new(&[Text, Int, Int, Text], template)
});

static COUNT_ATTEMPTS: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql::same(
        "UPDATE log SET attempts = attempts + v.column3, attempted_at = v.column4
         FROM {rows} v WHERE log.stream = v.column1 AND log.sequence = v.column2",
    );
    RowsStatement::new(&[Text, Int, Int, Int], template)
});

static CONFIRM_STREAMS: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql {
        sqlite: "UPDATE streams SET confirmed = min(head, v.column2)
            FROM {rows} v
            WHERE streams.stream = v.column1 AND streams.confirmed < min(head, v.column2)",
        postgres: "UPDATE streams SET confirmed = least(head, v.column2)
            FROM {rows} v
            WHERE streams.stream = v.column1 AND streams.confirmed < least(head, v.column2)",
    };
    RowsStatement::new(&[Text, Int], template)
});

impl Share {
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.confirmed.is_empty() && self.handed.is_empty() && self.attempts_noted == 0
    }

    /// One item for each entry.
    fn counted_attempts(&self) -> Vec<Counted<'_>> {
        let mut counted: BTreeMap<(&Stream, i64), Counted<'_>> = BTreeMap::new();
        for Attempt {
            stream,
            sequence,
            at,
        } in &self.attempts
        {
            let known = counted.entry((stream, *sequence)).or_insert(Counted {
                stream,
                sequence: *sequence,
                count: 0,
                last: *at,
            });
            known.count += 1;
            known.last = known.last.max(*at);
        }
        counted.into_values().collect()
    }

    /// Writes the share. The marks only grow and never pass the head.
    pub(in crate::store) async fn write(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let attempts = self.counted_attempts();
        if work.tx.is_shared() {
            let streams: BTreeSet<&Stream> = self
                .confirmed
                .iter()
                .map(|(stream, _)| stream)
                .chain(attempts.iter().map(|counted| counted.stream))
                .collect();
            let streams: Vec<&Stream> = streams.into_iter().collect();
            work.tx
                .execute_rows(&LOCK_STREAMS, &streams, |args, stream| {
                    args.push(stream.to_arc());
                })
                .await?;
        }
        work.tx
            .execute_rows(&COUNT_ATTEMPTS, &attempts, |args, counted| {
                args.push(counted.stream.to_arc())
                    .push(counted.sequence)
                    .push(counted.count)
                    .push(counted.last.0);
            })
            .await?;
        work.tx
            .execute_rows(&CONFIRM_ENTRIES, &self.confirmed, |args, (stream, mark)| {
                args.push(stream.to_arc())
                    .push(mark.sequence)
                    .push(mark.at.0)
                    .push(mark.source.as_str());
            })
            .await?;
        work.tx
            .execute_rows(&CONFIRM_STREAMS, &self.confirmed, |args, (stream, mark)| {
                args.push(stream.to_arc()).push(mark.sequence);
            })
            .await?;
        for handed in &self.handed {
            let detail = match handed.connections {
                1 => format!("sequence {} to 1 connection", handed.sequence),
                n => format!("sequence {} to {n} connections", handed.sequence),
            };
            if let Some(analysis_id) = handed.analysis_id {
                work.note_at(handed.at, analysis_id, Happening::Handed, detail);
            }
        }
        Ok(())
    }
}

/// Confirms within an open transaction what an acknowledgement covers.
pub(in crate::store) async fn confirm_now(
    work: &mut Work<'_>,
    stream: &Stream,
    sequence: i64,
) -> Result<(), StoreError> {
    let mark = Mark {
        sequence,
        source: ReceiptSource::Acknowledge,
        at: work.now,
    };
    let share = Share {
        confirmed: vec![(stream.clone(), mark)],
        ..Share::default()
    };
    share.write(work).await
}

#[cfg(test)]
mod tests {
    use shared_dto::UserId;
    use sqlx::{Connection as _, SqliteConnection};

    use super::*;
    use crate::store::database::sqlite_migrations;

    /// How SQLite carries `statement` out for one row, a line a step.
    async fn plan(statement: &RowsStatement) -> String {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlite_migrations().run(&mut conn).await.unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {}", statement.sqlite_text());
        let steps = sqlx::query_as::<_, (i64, i64, i64, String)>(sqlx::AssertSqlSafe(explain))
            .fetch_all(&mut conn)
            .await
            .unwrap();
        let steps = steps.into_iter().map(|(.., step)| step);
        steps.collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn a_confirmation_reads_nothing_but_what_it_confirms() {
        let entries = plan(&CONFIRM_ENTRIES).await;
        let range = "(stream=? AND sequence>? AND sequence<?)";
        assert!(entries.contains(range), "{entries}");
        let attempts = plan(&COUNT_ATTEMPTS).await;
        assert!(attempts.contains("(stream=? AND sequence=?)"), "{attempts}");
    }

    #[test]
    fn what_is_confirmed_by_however_many_streams_is_not_counted_as_well() {
        let receipts = Receipts::default();
        let stream = |user: usize| Stream::of_user(&UserId::from(user as i64));
        let attempt = |user: usize, sequence| Attempt {
            stream: stream(user),
            sequence,
            at: UnixMillis(0),
        };
        let users = 1..=MAX_ROWS * 4;
        receipts.record_attempts(users.clone().map(|user| attempt(user, 1)));
        receipts.record_attempts([attempt(1, 2)]);
        let confirmation = |user: usize| Confirmation {
            stream: stream(user),
            sequence: 1,
            source: ReceiptSource::Pong,
            at: UnixMillis(0),
        };
        receipts.confirm(users.map(confirmation).collect());
        let share = receipts.share();
        assert_eq!(share.confirmed.len(), MAX_ROWS);
        let counted: Vec<i64> = share.attempts.iter().map(|each| each.sequence).collect();
        assert_eq!(counted, [2], "nobody has confirmed it");
        let mut left = receipts.written(&share);
        assert_eq!(left, MAX_ROWS * 3, "the marks of the other streams");
        for _ in 0..3 {
            let share = receipts.share();
            assert!(!share.is_empty() && share.attempts.is_empty());
            left = receipts.written(&share);
        }
        assert_eq!(left, 0);
        assert!(receipts.share().is_empty());
    }
}
