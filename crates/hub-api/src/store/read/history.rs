//! What happened to one analysis: the timeline's lines, and what the log
//! itself knows of the notifications about it.

use shared_dto::UserId;

use super::analysis_of;
use crate::store::{
    AnalysisHistory, Happening, StoreError, Stream, TimelineEntry, UnixMillis,
    database::{Conn, Sql, columns, run},
};

const TIMELINE: Sql =
    Sql::same("SELECT at, kind, detail FROM timeline WHERE analysis_id = $1 ORDER BY id");

/// The log keeps when an entry was written and confirmed, so that the hot
/// path writes no timeline for either. It has no index on the analysis: this
/// walks the user's own entries.
const LOG: Sql = Sql::same(
    "SELECT sequence, event, created_at, confirmed_at, receipt_source
     FROM log WHERE stream = $1 AND analysis_id = $2 ORDER BY sequence",
);

columns!(Logged {
    sequence: i64,
    event: String,
    created_at: i64,
    confirmed_at: Option<i64>,
    receipt_source: Option<String>,
});

/// Three reads; a line that is written between them shows next time.
pub(in crate::store) async fn history_of(
    mut conn: Conn<'_>,
    user: &UserId,
    analysis_id: i64,
) -> Result<Option<AnalysisHistory>, StoreError> {
    let Some(analysis) = analysis_of(conn.again(), user, analysis_id).await? else {
        return Ok(None);
    };
    let mut entries = timeline_lines(conn.again(), analysis_id).await?;
    entries.append(&mut log_lines(conn, user, analysis_id).await?);
    // Stable, and within a millisecond in the order of the happenings' causes.
    entries.sort_by_key(|entry| (entry.at, entry.kind.rank()));
    Ok(Some(AnalysisHistory {
        analysis,
        user: user.clone(),
        entries,
    }))
}

async fn timeline_lines(
    conn: Conn<'_>,
    analysis_id: i64,
) -> Result<Vec<TimelineEntry>, StoreError> {
    let rows: Vec<(i64, String, String)> = run!(conn, TIMELINE, [analysis_id], fetch_all)?;
    rows.into_iter()
        .map(|(at, kind, detail)| {
            let kind = Happening::ALL
                .into_iter()
                .find(|known| known.as_str() == kind)
                .ok_or(StoreError::Unreadable { what: "timeline" })?;
            Ok(TimelineEntry {
                at: UnixMillis(at),
                kind,
                detail,
            })
        })
        .collect()
}

async fn log_lines(
    conn: Conn<'_>,
    user: &UserId,
    analysis_id: i64,
) -> Result<Vec<TimelineEntry>, StoreError> {
    let stream = Stream::of_user(user);
    let rows: Vec<Logged> = run!(conn, LOG, [stream.as_str(), analysis_id], fetch_all)?;
    let mut lines = Vec::with_capacity(rows.len() * 2);
    for row in rows {
        let Logged {
            sequence, event, ..
        } = row;
        lines.push(TimelineEntry {
            at: UnixMillis(row.created_at),
            kind: Happening::Logged,
            detail: format!("{event}, sequence {sequence}"),
        });
        if let Some(at) = row.confirmed_at {
            let source = row.receipt_source.as_deref().unwrap_or("an unknown sign");
            lines.push(TimelineEntry {
                at: UnixMillis(at),
                kind: Happening::Confirmed,
                detail: format!("sequence {sequence}, by {source}"),
            });
        }
    }
    Ok(lines)
}
