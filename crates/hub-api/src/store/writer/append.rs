//! Appends: a whole batch of notifications in few statements.

use std::{collections::HashMap, sync::LazyLock};

use tokio::sync::oneshot;

use super::{
    ending::Ending,
    work::{Draft, Place, Work},
};
use crate::store::{
    Append, Appended, Idempotency, NewNotification, StoreError, Stream,
    admission::{Admission, FirstAnswer, KnownJob, KnownKey, Verdict},
    database::{
        Kind::{Int, Text},
        RowsStatement, Sql, columns, locking,
    },
    user_from_row,
};

/// A notification that waits to be appended.
#[derive(Debug)]
pub(in crate::store) struct QueuedAppend {
    new: NewNotification,
    reply: oneshot::Sender<Result<Append, StoreError>>,
    verdict: Option<Verdict>,
    place: Option<Place>,
}

impl QueuedAppend {
    pub(in crate::store) fn new(
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
    pub(in crate::store) fn fail(self, error: StoreError) {
        // A caller that has gone needs no answer.
        let _ = self.reply.send(Err(error));
    }
}

static FIND_KEYS: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql::same(
        "SELECT k.scope, k.key, k.body_hash, k.answer_id, k.answer_sequence
         FROM {rows} v CROSS JOIN idempotency_keys k
         WHERE k.scope = v.column1 AND k.key = v.column2",
    );
    RowsStatement::new(&[Text, Text], template)
});

columns!(StoredKey {
    scope: String,
    key: String,
    body_hash: String,
    answer_id: i64,
    answer_sequence: Option<i64>,
});

/// What is decided by a job's row is decided under its lock.
static FIND_JOBS: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = locking!(
        "SELECT j.id, j.analysis_id, a.user_id, j.token, j.state IN ('leased', 'parked'),
                j.notification_id, j.sequence
         FROM {rows} v CROSS JOIN jobs j CROSS JOIN analyses a
         WHERE j.id = v.column1 AND a.id = j.analysis_id",
        "ORDER BY j.id FOR UPDATE OF j"
    );
    RowsStatement::new(&[Int], template)
});

columns!(StoredJob {
    id: i64,
    analysis_id: i64,
    user: String,
    token: Option<String>,
    held: bool,
    notification_id: Option<i64>,
    sequence: Option<i64>,
});

/// In the order of the keys, so that two hubs never wait for each other.
static INSERT_KEYS: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql::same(
        "INSERT INTO idempotency_keys (scope, key, body_hash, answer_id, answer_sequence, created_at)
         SELECT column1, column2, column3, column4, column5, column6
         FROM {rows} v WHERE column1 IS NOT NULL",
    );
    RowsStatement::new(&[Text, Text, Text, Int, Int, Int], template)
});

/// Decides on the batch and writes what it admits. The answers are kept with
/// the entries until the commit.
pub(in crate::store) async fn append_batch(
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
    let endings = batch.iter().filter_map(|append| ending(&admission, append));
    Ending::write_all(work, &endings.collect::<Vec<_>>()).await
}

async fn find_keys(
    work: &mut Work<'_>,
    batch: &[QueuedAppend],
) -> Result<HashMap<(String, String), KnownKey>, StoreError> {
    let wanted: Vec<&Idempotency> = batch
        .iter()
        .filter_map(|append| append.new.idempotency.as_ref())
        .collect();
    let rows: Vec<StoredKey> = work
        .tx
        .fetch_rows(&FIND_KEYS, &wanted, |args, key| {
            args.push(key.scope.clone()).push(key.key.clone());
        })
        .await?;
    let known = rows.into_iter().map(|row| {
        let answer = FirstAnswer::Stored {
            notification_id: row.answer_id,
            sequence: row.answer_sequence.unwrap_or(0),
        };
        let known = KnownKey {
            body_hash: row.body_hash,
            answer,
        };
        ((row.scope, row.key), known)
    });
    Ok(known.collect())
}

async fn find_jobs(
    work: &mut Work<'_>,
    batch: &[QueuedAppend],
) -> Result<HashMap<i64, KnownJob>, StoreError> {
    let mut wanted: Vec<i64> = batch
        .iter()
        .filter_map(|append| Some(append.new.outcome.as_ref()?.job_id))
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let rows: Vec<StoredJob> = work
        .tx
        .fetch_rows(&FIND_JOBS, &wanted, |args, id| {
            args.push(*id);
        })
        .await?;
    let known = rows.into_iter().map(|row| {
        let ended = row.notification_id.zip(row.sequence);
        let job = KnownJob {
            analysis_id: row.analysis_id,
            owner: Stream::of_user(&user_from_row(&row.user)?),
            token: row.token,
            held: row.held,
            ended: ended.map(|(notification_id, sequence)| FirstAnswer::Stored {
                notification_id,
                sequence,
            }),
        };
        Ok((row.id, job))
    });
    known.collect()
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
        trace: new.trace,
    }
}

async fn store_keys(work: &mut Work<'_>, batch: &[QueuedAppend]) -> Result<(), StoreError> {
    let now = work.now;
    let mut keys: Vec<(&Idempotency, Place)> = batch
        .iter()
        .filter_map(|append| Some((append.new.idempotency.as_ref()?, append.place?)))
        .collect();
    keys.sort_unstable_by(|(a, _), (b, _)| (&a.scope, &a.key).cmp(&(&b.scope, &b.key)));
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

/// The end of the job and the analysis of an admitted outcome.
fn ending<'a>(admission: &Admission, append: &'a QueuedAppend) -> Option<Ending<'a>> {
    let (outcome, place) = (append.new.outcome.as_ref()?, append.place?);
    let job = admission.jobs.get(&outcome.job_id)?;
    Some(Ending {
        job_id: outcome.job_id,
        analysis_id: job.analysis_id,
        terminal: &outcome.terminal,
        place,
        error: None,
        keep_token: true,
    })
}

/// Answers all callers of a committed batch. `connections` tells for a
/// notification id what the delivery hook returned.
pub(in crate::store) fn answer_batch(
    batch: &mut Vec<QueuedAppend>,
    connections: impl Fn(i64) -> usize,
) {
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
