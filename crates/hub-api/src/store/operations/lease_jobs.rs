//! Workers take jobs.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use crate::store::{
    Happening, Lease, StoreError, UnixMillis,
    database::{Kind::Int, RowsStatement, Sql, columns, run},
    decode::count_from_row,
    photo_from_row, user_from_row,
    writer::{Operation, Work},
};

/// Leases ready jobs to one worker, the longest ready first.
#[derive(Debug)]
pub(in crate::store) struct LeaseJobs {
    pub(in crate::store) worker: String,
    pub(in crate::store) max: u32,
    pub(in crate::store) lease: Duration,
}

/// A lease for mapping a stored answer is no new attempt. What another hub is
/// leasing just now is left to it.
macro_rules! take {
    (token: $token:literal, lock: $lock:literal) => {
        concat!(
            "WITH ready AS MATERIALIZED (
                 SELECT id FROM jobs
                 WHERE state = 'queued' AND available_at <= $3 AND deadline > $3
                 ORDER BY available_at, id LIMIT $4 ",
            $lock,
            ") UPDATE jobs SET state = 'leased', worker_id = $1, lease_until = $2, token = ",
            $token,
            ",   attempt = attempt + CASE WHEN reply IS NULL THEN 1 ELSE 0 END,
                 reply_leases = reply_leases + CASE WHEN reply IS NULL THEN 0 ELSE 1 END
             WHERE id IN (SELECT id FROM ready)
             RETURNING id, token, attempt, max_attempts, deadline, analysis_id,
                 idempotency_key, reply, trace_context, available_at"
        )
    };
}

const TAKE: Sql = Sql {
    sqlite: take!(token: "lower(hex(randomblob(16)))", lock: ""),
    postgres: take!(
        token: "replace(gen_random_uuid()::text, '-', '')",
        lock: "FOR UPDATE SKIP LOCKED"
    ),
};

columns!(pub(super) JobRow {
    id: i64,
    token: String,
    attempt: i64,
    max_attempts: i64,
    deadline: i64,
    analysis_id: i64,
    idempotency_key: String,
    reply: Option<String>,
    trace_context: Option<String>,
    available_at: i64,
});

static ANALYSES: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql::same(
        "SELECT a.id, a.user_id, a.crop_type, a.notes, a.image_key, a.image_media_type, a.image_url
         FROM {rows} v CROSS JOIN analyses a WHERE a.id = v.column1",
    );
    RowsStatement::new(&[Int], template)
});

columns!(pub(super) AnalysisRow {
    id: i64,
    user: String,
    crop_type: Option<String>,
    notes: Option<String>,
    image_key: Option<String>,
    image_media_type: Option<String>,
    image_url: Option<String>,
});

impl Operation for LeaseJobs {
    type Output = Vec<Lease>;

    async fn run(&self, work: &mut Work<'_>) -> Result<Vec<Lease>, StoreError> {
        let lease_until = work.now + self.lease;
        let now = work.now;
        let jobs: Vec<JobRow> = run!(
            work.tx.conn().await?,
            TAKE,
            [
                self.worker.as_str(),
                lease_until.0,
                now.0,
                i64::from(self.max)
            ],
            fetch_all
        )?;
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let analyses: Vec<AnalysisRow> = work
            .tx
            .fetch_rows(&ANALYSES, &jobs, |args, job| {
                args.push(job.analysis_id);
            })
            .await?;
        let mut analyses: HashMap<i64, AnalysisRow> = analyses
            .into_iter()
            .map(|analysis| (analysis.id, analysis))
            .collect();
        let mut leases = Vec::with_capacity(jobs.len());
        for job in jobs {
            let analysis = analyses
                .remove(&job.analysis_id)
                .ok_or(StoreError::Unreadable {
                    what: "job without analysis",
                })?;
            leases.push((job.available_at, lease(job, analysis, lease_until)?));
        }
        // RETURNING promises no order.
        leases.sort_by_key(|(available_at, lease)| (*available_at, lease.job_id));
        let leases: Vec<Lease> = leases.into_iter().map(|(_, lease)| lease).collect();
        for lease in &leases {
            let what = if lease.reply.is_some() {
                ", to map the answer"
            } else {
                ""
            };
            let detail = format!("attempt {} by {}{what}", lease.attempt, self.worker);
            work.note(lease.analysis_id, Happening::Leased, detail);
        }
        work.jobs_changed = true;
        Ok(leases)
    }
}

pub(super) fn lease(
    job: JobRow,
    analysis: AnalysisRow,
    lease_until: UnixMillis,
) -> Result<Lease, StoreError> {
    Ok(Lease {
        job_id: job.id,
        token: job.token,
        attempt: count_from_row(job.attempt),
        max_attempts: count_from_row(job.max_attempts),
        lease_until,
        deadline: UnixMillis(job.deadline),
        analysis_id: job.analysis_id,
        user: user_from_row(&analysis.user)?,
        crop_type: analysis.crop_type,
        notes: analysis.notes,
        photo: photo_from_row(
            analysis.image_key,
            analysis.image_media_type,
            analysis.image_url,
        )?,
        idempotency_key: job.idempotency_key,
        reply: job.reply,
        trace_context: job.trace_context,
    })
}
