//! Analyses and their pictures.

use serde::de::DeserializeOwned;
use shared_dto::UserId;
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use crate::store::{
    AnalysesPage, AnalysisRow, Pictures, StoreError, UnixMillis, photo_from_row, status_from_row,
    user_from_row,
};

/// The most rows of a page.
const MAX_PAGE: u32 = 1000;

pub(in crate::store::sqlite) async fn analysis_of(
    readers: &SqlitePool,
    user: &UserId,
    id: i64,
) -> Result<Option<AnalysisRow>, StoreError> {
    let row = sqlx::query(
        "SELECT id, user_id, status, crop_type, notes, image_key, image_media_type, image_url,
                overlay_key, progress, result, error_message, created_at, completed_at
         FROM analyses WHERE id = ? AND user_id = ?",
    )
    .bind(id)
    .bind(user.as_str())
    .fetch_optional(readers)
    .await?;
    row.as_ref().map(analysis).transpose()
}

pub(in crate::store::sqlite) async fn analyses_of(
    readers: &SqlitePool,
    user: &UserId,
    before: Option<i64>,
    limit: u32,
) -> Result<AnalysesPage, StoreError> {
    let limit = limit.clamp(1, MAX_PAGE);
    let rows = sqlx::query(
        "SELECT id, user_id, status, crop_type, notes, image_key, image_media_type, image_url,
                overlay_key, progress, result, error_message, created_at, completed_at
         FROM analyses WHERE user_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
    )
    .bind(user.as_str())
    .bind(before.unwrap_or(i64::MAX))
    // One more than asked for tells whether there is a next page.
    .bind(limit + 1)
    .fetch_all(readers)
    .await?;
    let limit = limit as usize;
    let items: Vec<AnalysisRow> = rows
        .iter()
        .take(limit)
        .map(analysis)
        .collect::<Result<_, _>>()?;
    let more = rows.len() > limit;
    let next_before = items.last().filter(|_| more).map(|last| last.id);
    Ok(AnalysesPage { items, next_before })
}

pub(in crate::store::sqlite) async fn pictures_of(
    readers: &SqlitePool,
    id: i64,
) -> Result<Option<Pictures>, StoreError> {
    let row = sqlx::query(
        "SELECT user_id, image_key, image_media_type, image_url, overlay_key
         FROM analyses WHERE id = ?",
    )
    .bind(id)
    .fetch_optional(readers)
    .await?;
    row.map(|row| {
        Ok(Pictures {
            user: user_from_row(row.try_get(0)?)?,
            photo: photo_from_row(row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)?,
            overlay_key: row.try_get(4)?,
        })
    })
    .transpose()
}

fn analysis(row: &SqliteRow) -> Result<AnalysisRow, StoreError> {
    Ok(AnalysisRow {
        id: row.try_get(0)?,
        user: user_from_row(row.try_get(1)?)?,
        status: status_from_row(row.try_get(2)?)?,
        crop_type: row.try_get(3)?,
        notes: row.try_get(4)?,
        photo: photo_from_row(row.try_get(5)?, row.try_get(6)?, row.try_get(7)?)?,
        overlay_key: row.try_get(8)?,
        progress: json(row.try_get(9)?, "progress")?,
        result: json(row.try_get(10)?, "result")?,
        error_message: row.try_get(11)?,
        created_at: UnixMillis(row.try_get(12)?),
        completed_at: row.try_get::<Option<i64>, _>(13)?.map(UnixMillis),
    })
}

fn json<T: DeserializeOwned>(
    text: Option<&str>,
    what: &'static str,
) -> Result<Option<T>, StoreError> {
    text.map(serde_json::from_str)
        .transpose()
        .map_err(|_| StoreError::Unreadable { what })
}
