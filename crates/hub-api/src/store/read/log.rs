//! The notification log.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use crate::store::{
    LoggedEntry, Page, StoreError, Stream, StreamHead, StreamState, UnixMillis,
    database::{
        Conn,
        Kind::{Int, Text},
        RowsStatement, Sql, columns, read_rows, run,
    },
    decode::random_hex,
};

/// The most entries of a page.
const MAX_PAGE: u32 = 1000;

const EPOCH: Sql = Sql::same("SELECT epoch FROM store");

const MAKE_EPOCH: Sql =
    Sql::same("INSERT INTO store (id, epoch) VALUES (1, $1) ON CONFLICT DO NOTHING");

static STATES: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql::same(
        "SELECT s.stream, s.oldest, s.head, s.confirmed, s.acknowledged
         FROM {rows} v CROSS JOIN streams s WHERE s.stream = v.column1",
    );
    RowsStatement::new(&[Text], template)
});

columns!(StoredStream {
    stream: String,
    oldest: i64,
    head: i64,
    confirmed: i64,
    acknowledged: i64,
});

/// The state and the entries come from one statement, so that no entry is
/// committed, or purged, between the two. PostgreSQL would read and sort all
/// that lies behind the page, were the limit not within the join.
const ENTRIES: Sql = Sql {
    sqlite: "SELECT s.oldest, s.head, s.confirmed, s.acknowledged,
            l.id, l.sequence, l.event, l.payload, l.analysis_id, l.created_at
     FROM streams s LEFT JOIN log l ON l.stream = s.stream AND l.sequence > $1
     WHERE s.stream = $2 ORDER BY l.sequence LIMIT $3",
    postgres: "SELECT s.oldest, s.head, s.confirmed, s.acknowledged,
            l.id, l.sequence, l.event, l.payload, l.analysis_id, l.created_at
     FROM streams s LEFT JOIN LATERAL (
         SELECT id, sequence, event, payload, analysis_id, created_at FROM log
         WHERE stream = s.stream AND sequence > $1 ORDER BY sequence LIMIT $3) l ON true
     WHERE s.stream = $2 ORDER BY l.sequence",
};

static BEYOND: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql::same(
        "SELECT s.stream, s.head FROM {rows} v CROSS JOIN streams s
         WHERE s.stream = v.column1 AND s.head > v.column2",
    );
    RowsStatement::new(&[Text, Int], template)
});

const CROWDED: Sql =
    Sql::same("SELECT stream, head FROM streams WHERE head - oldest >= $1 LIMIT $2");

/// A stream without entries above the asked one gives one row without an entry.
type EntryRow = (
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
);

/// Makes the epoch of a database that has none: one that was made anew has another.
pub(in crate::store) async fn make_epoch(conn: Conn<'_>) -> Result<(), StoreError> {
    run!(conn, MAKE_EPOCH, [&random_hex()[..16]], execute)?;
    Ok(())
}

pub(in crate::store) async fn epoch(conn: Conn<'_>) -> Result<Arc<str>, StoreError> {
    let (epoch,): (String,) = run!(conn, EPOCH, [], fetch_one)?;
    Ok(epoch.into())
}

pub(in crate::store) async fn stream_state(
    conn: Conn<'_>,
    epoch: Arc<str>,
    stream: &Stream,
) -> Result<StreamState, StoreError> {
    let mut states = stream_states(conn, Arc::clone(&epoch), vec![stream.clone()]).await?;
    Ok(states.remove(stream).unwrap_or_else(|| state(None, epoch)))
}

/// Where each of the streams stands.
pub(in crate::store) async fn stream_states(
    conn: Conn<'_>,
    epoch: Arc<str>,
    streams: Vec<Stream>,
) -> Result<HashMap<Stream, StreamState>, StoreError> {
    let rows = read_rows(conn, &STATES, &streams, |args, stream| {
        args.push(stream.to_arc());
    });
    let rows: Vec<StoredStream> = rows.await?;
    let found: HashMap<String, _> = rows
        .into_iter()
        .map(|row| {
            let marks = (row.oldest, row.head, row.confirmed, row.acknowledged);
            (row.stream, marks)
        })
        .collect();
    let states = streams.into_iter().map(|stream| {
        let marks = found.get(stream.as_str()).copied();
        (stream, state(marks, Arc::clone(&epoch)))
    });
    Ok(states.collect())
}

pub(in crate::store) async fn entries(
    conn: Conn<'_>,
    epoch: Arc<str>,
    stream: &Stream,
    after: i64,
    limit: u32,
) -> Result<Page, StoreError> {
    let limit = i64::from(limit.clamp(1, MAX_PAGE));
    let rows: Vec<EntryRow> = run!(conn, ENTRIES, [after, stream.as_str(), limit], fetch_all)?;
    let marks = rows.first().map(|row| (row.0, row.1, row.2, row.3));
    Ok(Page {
        state: state(marks, epoch),
        entries: rows
            .into_iter()
            .filter_map(|row| entry(row, stream))
            .collect(),
    })
}

/// Those of the streams that have entries beyond the given sequence.
pub(in crate::store) async fn heads_beyond(
    conn: Conn<'_>,
    known: &[(Stream, i64)],
) -> Result<Vec<StreamHead>, StoreError> {
    let rows = read_rows(conn, &BEYOND, known, |args, (stream, sequence)| {
        args.push(stream.to_arc()).push(*sequence);
    });
    Ok(heads(rows.await?))
}

/// Streams with more than `most` entries. It looks at every stream.
pub(in crate::store) async fn crowded_streams(
    conn: Conn<'_>,
    most: u32,
    limit: u32,
) -> Result<Vec<StreamHead>, StoreError> {
    let bounds = [i64::from(most), i64::from(limit)];
    Ok(heads(run!(
        conn,
        CROWDED,
        [bounds[0], bounds[1]],
        fetch_all
    )?))
}

fn heads(rows: Vec<(String, i64)>) -> Vec<StreamHead> {
    rows.into_iter()
        .map(|(stream, head)| StreamHead {
            stream: Stream::from_row(stream),
            head,
        })
        .collect()
}

/// A stream that was never written to has no row.
fn state(marks: Option<(i64, i64, i64, i64)>, epoch: Arc<str>) -> StreamState {
    let (oldest, head, confirmed, acknowledged) = marks.unwrap_or((1, 0, 0, 0));
    StreamState {
        epoch,
        oldest,
        head,
        confirmed,
        acknowledged,
    }
}

fn entry(row: EntryRow, stream: &Stream) -> Option<LoggedEntry> {
    let (.., id, sequence, event, payload, analysis_id, created_at) = row;
    Some(LoggedEntry {
        notification_id: id?,
        stream: stream.clone(),
        sequence: sequence?,
        event: event?.into(),
        payload: payload?.into(),
        analysis_id,
        created_at: UnixMillis(created_at?),
        trace: None,
    })
}
