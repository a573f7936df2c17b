//! Appends: a whole batch of notifications in few statements.

use std::sync::LazyLock;

use sqlx::Row;
use tokio::sync::oneshot;

use super::{
    ending::Ending,
    statement::RowsStatement,
    work::{Draft, Place, Work},
};
use crate::store::{
    Append, Appended, Idempotency, NewNotification, StoreError, Stream,
    admission::{Admission, FirstAnswer, KnownJob, KnownKey, Verdict},
    user_from_row,
};

/// A notification that waits to be appended.
#[derive(Debug)]
pub(super) struct QueuedAppend {
    new: NewNotification,
    reply: oneshot::Sender<Result<Append, StoreError>>,
    verdict: Option<Verdict>,
    place: Option<Place>,
}

impl QueuedAppend {
    pub(super) fn new(
        new: NewNotification,
        reply: oneshot::Sender<Result<Append, StoreError>>,
    ) -> Self {
        Self {
            new,
            reply,
            verdict: None,
            place: None,
        }
    }

    /// Answers the caller with an error.
    pub(super) fn fail(self, error: StoreError) {
        // A caller that has gone needs no answer.
        let _ = self.reply.send(Err(error));
    }
}

static FIND_KEYS: LazyLock<RowsStatement> = LazyLock::new(|| {
    RowsStatement::new(
        2,
        "SELECT k.scope, k.key, k.body_hash, k.answer_id, k.answer_sequence
         FROM {rows} v CROSS JOIN idempotency_keys k
         WHERE k.scope = v.column1 AND k.key = v.column2",
    )
});

static FIND_JOBS: LazyLock<RowsStatement> = LazyLock::new(|| {
    RowsStatement::new(
        1,
        "SELECT j.id, j.analysis_id, a.user_id, j.token, j.state IN ('leased', 'parked'),
                j.notification_id, j.sequence
         FROM {rows} v CROSS JOIN jobs j CROSS JOIN analyses a
         WHERE j.id = v.column1 AND a.id = j.analysis_id",
    )
});

static INSERT_KEYS: LazyLock<RowsStatement> = LazyLock::new(|| {
    RowsStatement::new(
        6,
        "INSERT INTO idempotency_keys (scope, key, body_hash, answer_id, answer_sequence, created_at)
         SELECT column1, column2, column3, column4, column5, column6
         FROM {rows} WHERE column1 IS NOT NULL",
    )
});

/// Decides on the batch and writes what it admits. The answers are kept with
/// the entries until the commit.
pub(super) async fn append_batch(
    work: &mut Work<'_>,
    batch: &mut [QueuedAppend],
) -> Result<(), StoreError> {
    let mut admission = Admission {
        keys: find_keys(work, batch).await?,
        jobs: find_jobs(work, batch).await?,
    };
    let mut drafts = Vec::with_capacity(batch.len());
    for (index, append) in batch.iter_mut().enumerate() {
        append.place = None;
        // A caller that has gone comes again, with its key.
        append.verdict = (!append.reply.is_closed()).then(|| admission.admit(index, &append.new));
        if append.verdict == Some(Verdict::Enter) {
            drafts.push(draft(&admission, &append.new));
        }
    }
    let mut places = work.log(drafts).await?.into_iter();
    for append in batch
        .iter_mut()
        .filter(|append| append.verdict == Some(Verdict::Enter))
    {
        append.place = places.next();
    }
    store_keys(work, batch).await?;
    for append in batch.iter() {
        end_job(work, &admission, append).await?;
    }
    Ok(())
}

async fn find_keys(
    work: &mut Work<'_>,
    batch: &[QueuedAppend],
) -> Result<std::collections::HashMap<(String, String), KnownKey>, StoreError> {
    let wanted: Vec<&Idempotency> = batch
        .iter()
        .filter_map(|append| append.new.idempotency.as_ref())
        .collect();
    let rows = work
        .tx
        .fetch_rows(&FIND_KEYS, &wanted, |args, key| {
            args.push(key.scope.clone()).push(key.key.clone());
        })
        .await?;
    rows.into_iter()
        .map(|row| {
            let answer = FirstAnswer::Stored {
                notification_id: row.try_get(3)?,
                sequence: row.try_get::<Option<i64>, _>(4)?.unwrap_or(0),
            };
            let known = KnownKey {
                body_hash: row.try_get(2)?,
                answer,
            };
            Ok(((row.try_get(0)?, row.try_get(1)?), known))
        })
        .collect()
}

async fn find_jobs(
    work: &mut Work<'_>,
    batch: &[QueuedAppend],
) -> Result<std::collections::HashMap<i64, KnownJob>, StoreError> {
    let mut wanted: Vec<i64> = batch
        .iter()
        .filter_map(|append| Some(append.new.outcome.as_ref()?.job_id))
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let rows = work
        .tx
        .fetch_rows(&FIND_JOBS, &wanted, |args, id| {
            args.push(*id);
        })
        .await?;
    rows.into_iter()
        .map(|row| {
            let notification_id: Option<i64> = row.try_get(5)?;
            let sequence: Option<i64> = row.try_get(6)?;
            let job = KnownJob {
                analysis_id: row.try_get(1)?,
                owner: Stream::of_user(&user_from_row(row.try_get(2)?)?),
                token: row.try_get(3)?,
                held: row.try_get(4)?,
                ended: notification_id
                    .zip(sequence)
                    .map(|(notification_id, sequence)| FirstAnswer::Stored {
                        notification_id,
                        sequence,
                    }),
            };
            Ok((row.try_get(0)?, job))
        })
        .collect()
}

fn draft(admission: &Admission, new: &NewNotification) -> Draft {
    let job = new
        .outcome
        .as_ref()
        .and_then(|outcome| admission.jobs.get(&outcome.job_id));
    Draft {
        stream: new.stream.clone(),
        event: new.event.clone(),
        payload: new.payload.clone(),
        analysis_id: job.map(|job| job.analysis_id).or(new.analysis_id),
        ending: job.is_some(),
    }
}

async fn store_keys(work: &mut Work<'_>, batch: &[QueuedAppend]) -> Result<(), StoreError> {
    let now = work.now;
    let keys: Vec<(&Idempotency, Place)> = batch
        .iter()
        .filter_map(|append| Some((append.new.idempotency.as_ref()?, append.place?)))
        .collect();
    work.tx
        .execute_rows(&INSERT_KEYS, &keys, |args, (key, place)| {
            args.push(key.scope.clone())
                .push(key.key.clone())
                .push(key.body_hash.clone())
                .push(place.notification_id)
                .push(place.sequence)
                .push(now.0);
        })
        .await
}

/// Ends the job and the analysis of an admitted outcome.
async fn end_job(
    work: &mut Work<'_>,
    admission: &Admission,
    append: &QueuedAppend,
) -> Result<(), StoreError> {
    let (Some(outcome), Some(place)) = (&append.new.outcome, append.place) else {
        return Ok(());
    };
    let Some(job) = admission.jobs.get(&outcome.job_id) else {
        return Ok(());
    };
    let ending = Ending {
        job_id: outcome.job_id,
        analysis_id: job.analysis_id,
        terminal: &outcome.terminal,
        place,
        error: None,
        keep_token: true,
    };
    ending.write(work).await
}

/// Answers all callers of a committed batch. `connections` tells for a
/// notification id what the delivery hook returned.
pub(super) fn answer_batch(batch: &mut Vec<QueuedAppend>, connections: impl Fn(i64) -> usize) {
    let places: Vec<Option<Place>> = batch.iter().map(|append| append.place).collect();
    for append in batch.drain(..) {
        let answer = match append.verdict {
            None => continue,
            Some(Verdict::Enter) => append.place.map(|place| {
                Append::Appended(Appended {
                    notification_id: place.notification_id,
                    sequence: place.sequence,
                    connections: connections(place.notification_id),
                })
            }),
            Some(Verdict::Repeated(first)) => first_answer(first, &places).map(Append::Repeated),
            Some(Verdict::Conflict) => Some(Append::Conflict),
            Some(Verdict::UnknownJob) => Some(Append::UnknownJob),
            Some(Verdict::NotOwner) => Some(Append::NotOwner),
            Some(Verdict::Stale) => Some(Append::StaleAttempt),
        };
        let answer = answer.expect("an admitted entry was given its place before the commit");
        // A caller that has gone needs no answer.
        let _ = append.reply.send(Ok(answer));
    }
}

fn first_answer(first: FirstAnswer, places: &[Option<Place>]) -> Option<Appended> {
    let (notification_id, sequence) = match first {
        FirstAnswer::Stored {
            notification_id,
            sequence,
        } => (notification_id, sequence),
        FirstAnswer::InBatch(index) => {
            let place = places.get(index).copied().flatten()?;
            (place.notification_id, place.sequence)
        }
    };
    Some(Appended {
        notification_id,
        sequence,
        connections: 0,
    })
}
