//! Analyses and their pictures.

use serde::de::DeserializeOwned;
use shared_dto::UserId;

use crate::store::{
    AnalysesPage, AnalysisRow, Pictures, StoreError, UnixMillis,
    database::{Conn, Sql, columns, run},
    photo_from_row, status_from_row, user_from_row,
};

/// The most rows of a page.
const MAX_PAGE: u32 = 1000;

const ONE: Sql = Sql::same(
    "SELECT id, user_id, status, crop_type, notes, image_key, image_media_type, image_url,
            overlay_key, progress, result, error_message, created_at, completed_at
     FROM analyses WHERE id = $1 AND user_id = $2",
);

const BEFORE: Sql = Sql::same(
    "SELECT id, user_id, status, crop_type, notes, image_key, image_media_type, image_url,
            overlay_key, progress, result, error_message, created_at, completed_at
     FROM analyses WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
);

const PICTURES: Sql = Sql::same(
    "SELECT user_id, image_key, image_media_type, image_url, overlay_key
     FROM analyses WHERE id = $1",
);

columns!(StoredAnalysis {
    id: i64,
    user: String,
    status: String,
    crop_type: Option<String>,
    notes: Option<String>,
    image_key: Option<String>,
    image_media_type: Option<String>,
    image_url: Option<String>,
    overlay_key: Option<String>,
    progress: Option<String>,
    result: Option<String>,
    error_message: Option<String>,
    created_at: i64,
    completed_at: Option<i64>,
});

columns!(StoredPictures {
    user: String,
    image_key: Option<String>,
    image_media_type: Option<String>,
    image_url: Option<String>,
    overlay_key: Option<String>,
});

pub(in crate::store) async fn analysis_of(
    conn: Conn<'_>,
    user: &UserId,
    id: i64,
) -> Result<Option<AnalysisRow>, StoreError> {
    let found: Option<StoredAnalysis> = run!(conn, ONE, [id, user.as_str()], fetch_optional)?;
    found.map(analysis).transpose()
}

pub(in crate::store) async fn analyses_of(
    conn: Conn<'_>,
    user: &UserId,
    before: Option<i64>,
    limit: u32,
) -> Result<AnalysesPage, StoreError> {
    let limit = limit.clamp(1, MAX_PAGE);
    // One more than asked for tells whether there is a next page.
    let mut found: Vec<StoredAnalysis> = run!(
        conn,
        BEFORE,
        [
            user.as_str(),
            before.unwrap_or(i64::MAX),
            i64::from(limit + 1)
        ],
        fetch_all
    )?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let items: Vec<AnalysisRow> = found.into_iter().map(analysis).collect::<Result<_, _>>()?;
    let next_before = items.last().filter(|_| more).map(|last| last.id);
    Ok(AnalysesPage { items, next_before })
}

pub(in crate::store) async fn pictures_of(
    conn: Conn<'_>,
    id: i64,
) -> Result<Option<Pictures>, StoreError> {
    let found: Option<StoredPictures> = run!(conn, PICTURES, [id], fetch_optional)?;
    found
        .map(|row| {
            Ok(Pictures {
                user: user_from_row(&row.user)?,
                photo: photo_from_row(row.image_key, row.image_media_type, row.image_url)?,
                overlay_key: row.overlay_key,
            })
        })
        .transpose()
}

fn analysis(row: StoredAnalysis) -> Result<AnalysisRow, StoreError> {
    Ok(AnalysisRow {
        id: row.id,
        user: user_from_row(&row.user)?,
        status: status_from_row(&row.status)?,
        crop_type: row.crop_type,
        notes: row.notes,
        photo: photo_from_row(row.image_key, row.image_media_type, row.image_url)?,
        overlay_key: row.overlay_key,
        progress: json(row.progress.as_deref(), "progress")?,
        result: json(row.result.as_deref(), "result")?,
        error_message: row.error_message,
        created_at: UnixMillis(row.created_at),
        completed_at: row.completed_at.map(UnixMillis),
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
