//! An upload becomes an analysis and its job.

use std::time::Duration;

use sqlx::Row;

use crate::store::{
    Created, Happening, Idempotency, NewAnalysis, Photo, StoreError, sqlite::queue::Operation,
    sqlite::work::Work, status_from_row,
};

/// Writes the analysis, and its job as the outbox row, in one transaction.
#[derive(Debug)]
pub(in crate::store::sqlite) struct CreateAnalysis {
    pub(in crate::store::sqlite) new: NewAnalysis,
    pub(in crate::store::sqlite) max_attempts: u32,
    pub(in crate::store::sqlite) deadline: Duration,
}

impl Operation for CreateAnalysis {
    type Output = Created;

    async fn run(&self, work: &mut Work<'_>) -> Result<Created, StoreError> {
        if let Some(key) = &self.new.idempotency
            && let Some(first) = first_answer(work, key).await?
        {
            return Ok(first);
        }
        let analysis_id = self.insert_analysis(work).await?;
        sqlx::query(
            "INSERT INTO jobs (analysis_id, state, max_attempts, available_at, deadline,
                               idempotency_key, trace_context, created_at)
             VALUES (?, 'queued', ?, ?, ?, lower(hex(randomblob(16))), ?, ?)",
        )
        .bind(analysis_id)
        .bind(self.max_attempts)
        .bind(work.now.0)
        .bind((work.now + self.deadline).0)
        .bind(self.new.trace_context.as_deref())
        .bind(work.now.0)
        .execute(work.tx.conn().await?)
        .await?;
        if let Some(key) = &self.new.idempotency {
            store_key(work, key, analysis_id).await?;
        }
        work.note(analysis_id, Happening::Uploaded, "");
        work.jobs_changed = true;
        Ok(Created::Created { analysis_id })
    }
}

impl CreateAnalysis {
    async fn insert_analysis(&self, work: &mut Work<'_>) -> Result<i64, StoreError> {
        let (key, media_type, url) = match &self.new.photo {
            Photo::Stored { key, media_type } => (Some(key), Some(media_type), None),
            Photo::Remote { url } => (None, None, Some(url)),
        };
        let id = sqlx::query_scalar(
            "INSERT INTO analyses (user_id, status, crop_type, notes, image_key,
                                   image_media_type, image_url, created_at)
             VALUES (?, 'Processing', ?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(self.new.user.as_str())
        .bind(self.new.crop_type.as_deref())
        .bind(self.new.notes.as_deref())
        .bind(key)
        .bind(media_type)
        .bind(url)
        .bind(work.now.0)
        .fetch_one(work.tx.conn().await?)
        .await?;
        Ok(id)
    }
}

async fn first_answer(
    work: &mut Work<'_>,
    key: &Idempotency,
) -> Result<Option<Created>, StoreError> {
    let row = sqlx::query(
        "SELECT k.body_hash, a.id, a.status
         FROM idempotency_keys k JOIN analyses a ON a.id = k.answer_id
         WHERE k.scope = ? AND k.key = ?",
    )
    .bind(key.scope.as_str())
    .bind(key.key.as_str())
    .fetch_optional(work.tx.conn().await?)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    if row.try_get::<&str, _>(0)? != key.body_hash {
        return Ok(Some(Created::Conflict));
    }
    let status = status_from_row(row.try_get(2)?)?;
    Ok(Some(Created::Repeated {
        analysis_id: row.try_get(1)?,
        status,
    }))
}

async fn store_key(
    work: &mut Work<'_>,
    key: &Idempotency,
    analysis_id: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO idempotency_keys (scope, key, body_hash, answer_id, created_at)
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(key.scope.as_str())
    .bind(key.key.as_str())
    .bind(key.body_hash.as_str())
    .bind(analysis_id)
    .bind(work.now.0)
    .execute(work.tx.conn().await?)
    .await?;
    Ok(())
}
