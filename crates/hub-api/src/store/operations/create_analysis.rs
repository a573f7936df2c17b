//! An upload becomes an analysis and its job.

use std::time::Duration;

use crate::store::{
    Created, Happening, Idempotency, NewAnalysis, Photo, StoreError,
    database::{Sql, run},
    decode::random_hex,
    status_from_row,
    writer::{Locks, Operation, Work},
};

const INSERT_JOB: Sql = Sql::same(
    "INSERT INTO jobs (analysis_id, state, max_attempts, available_at, deadline,
                       idempotency_key, trace_context, created_at)
     VALUES ($1, 'queued', $2, $3, $4, $5, $6, $3)",
);

const INSERT_ANALYSIS: Sql = Sql::same(
    "INSERT INTO analyses (user_id, status, crop_type, notes, image_key,
                           image_media_type, image_url, created_at)
     VALUES ($1, 'Processing', $2, $3, $4, $5, $6, $7) RETURNING id",
);

const FIND_KEY: Sql = Sql::same(
    "SELECT k.body_hash, a.id, a.status
     FROM idempotency_keys k JOIN analyses a ON a.id = k.answer_id
     WHERE k.scope = $1 AND k.key = $2",
);

const INSERT_KEY: Sql = Sql::same(
    "INSERT INTO idempotency_keys (scope, key, body_hash, answer_id, created_at)
     VALUES ($1, $2, $3, $4, $5)",
);

/// Writes the analysis, and its job as the outbox row, in one transaction.
#[derive(Debug)]
pub(in crate::store) struct CreateAnalysis {
    pub(in crate::store) new: NewAnalysis,
    pub(in crate::store) max_attempts: u32,
    pub(in crate::store) deadline: Duration,
}

impl Operation for CreateAnalysis {
    type Output = Created;

    fn locks(&self) -> Locks<'_> {
        match &self.new.idempotency {
            Some(Idempotency { scope, key, .. }) => Locks::Key(scope, key),
            None => Locks::Nothing,
        }
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<Created, StoreError> {
        if let Some(key) = &self.new.idempotency
            && let Some(first) = first_answer(work, key).await?
        {
            return Ok(first);
        }
        let analysis_id = self.insert_analysis(work).await?;
        let now = work.now;
        run!(
            work.tx.conn().await?,
            INSERT_JOB,
            [
                analysis_id,
                i64::from(self.max_attempts),
                now.0,
                (now + self.deadline).0,
                random_hex(),
                self.new.trace_context.as_deref()
            ],
            execute
        )?;
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
        let now = work.now;
        let (id,): (i64,) = run!(
            work.tx.conn().await?,
            INSERT_ANALYSIS,
            [
                self.new.user.as_str(),
                self.new.crop_type.as_deref(),
                self.new.notes.as_deref(),
                key,
                media_type,
                url,
                now.0
            ],
            fetch_one
        )?;
        Ok(id)
    }
}

async fn first_answer(
    work: &mut Work<'_>,
    key: &Idempotency,
) -> Result<Option<Created>, StoreError> {
    let first: Option<(String, i64, String)> = run!(
        work.tx.conn().await?,
        FIND_KEY,
        [key.scope.as_str(), key.key.as_str()],
        fetch_optional
    )?;
    let Some((body_hash, analysis_id, status)) = first else {
        return Ok(None);
    };
    if body_hash != key.body_hash {
        return Ok(Some(Created::Conflict));
    }
    Ok(Some(Created::Repeated {
        analysis_id,
        status: status_from_row(&status)?,
    }))
}

async fn store_key(
    work: &mut Work<'_>,
    key: &Idempotency,
    analysis_id: i64,
) -> Result<(), StoreError> {
    let now = work.now;
    run!(
        work.tx.conn().await?,
        INSERT_KEY,
        [
            key.scope.as_str(),
            key.key.as_str(),
            key.body_hash.as_str(),
            analysis_id,
            now.0
        ],
        execute
    )?;
    Ok(())
}
