//! What happened to one analysis: the timeline's lines, and what the log
//! itself knows of the notifications about it.

use shared_dto::UserId;
use sqlx::{Row, SqlitePool};

use super::analysis_of;
use crate::store::{AnalysisHistory, Happening, StoreError, Stream, TimelineEntry, UnixMillis};

/// Three reads; a line that is written between them shows next time.
pub(in crate::store::sqlite) async fn history_of(
    readers: &SqlitePool,
    user: &UserId,
    analysis_id: i64,
) -> Result<Option<AnalysisHistory>, StoreError> {
    let Some(analysis) = analysis_of(readers, user, analysis_id).await? else {
        return Ok(None);
    };
    let mut entries = timeline_lines(readers, analysis_id).await?;
    entries.append(&mut log_lines(readers, user, analysis_id).await?);
    // Stable, and within a millisecond in the order of the happenings' causes.
    entries.sort_by_key(|entry| (entry.at, entry.kind.rank()));
    Ok(Some(AnalysisHistory {
        analysis,
        user: user.clone(),
        entries,
    }))
}

async fn timeline_lines(
    readers: &SqlitePool,
    analysis_id: i64,
) -> Result<Vec<TimelineEntry>, StoreError> {
    let rows =
        sqlx::query("SELECT at, kind, detail FROM timeline WHERE analysis_id = ? ORDER BY id")
            .bind(analysis_id)
            .fetch_all(readers)
            .await?;
    rows.iter()
        .map(|row| {
            let kind: &str = row.try_get(1)?;
            let kind = Happening::ALL
                .into_iter()
                .find(|known| known.as_str() == kind)
                .ok_or(StoreError::Unreadable { what: "timeline" })?;
            Ok(TimelineEntry {
                at: UnixMillis(row.try_get(0)?),
                kind,
                detail: row.try_get(2)?,
            })
        })
        .collect()
}

/// The log keeps when an entry was written and confirmed, so that the hot
/// path writes no timeline for either. It has no index on the analysis: this
/// walks the user's own entries.
async fn log_lines(
    readers: &SqlitePool,
    user: &UserId,
    analysis_id: i64,
) -> Result<Vec<TimelineEntry>, StoreError> {
    let rows = sqlx::query(
        "SELECT sequence, event, created_at, confirmed_at, receipt_source
         FROM log WHERE stream = ? AND analysis_id = ? ORDER BY sequence",
    )
    .bind(Stream::of_user(user).to_arc())
    .bind(analysis_id)
    .fetch_all(readers)
    .await?;
    let mut lines = Vec::with_capacity(rows.len() * 2);
    for row in &rows {
        let sequence: i64 = row.try_get(0)?;
        let event: &str = row.try_get(1)?;
        lines.push(TimelineEntry {
            at: UnixMillis(row.try_get(2)?),
            kind: Happening::Logged,
            detail: format!("{event}, sequence {sequence}"),
        });
        if let Some(at) = row.try_get(3)? {
            let source: Option<&str> = row.try_get(4)?;
            lines.push(TimelineEntry {
                at: UnixMillis(at),
                kind: Happening::Confirmed,
                detail: format!(
                    "sequence {sequence}, by {}",
                    source.unwrap_or("an unknown sign")
                ),
            });
        }
    }
    Ok(lines)
}
