//! The end of a job and its analysis.

use std::sync::LazyLock;

use super::work::{Place, Work};
use crate::store::{
    Happening, StoreError, Terminal,
    database::{
        Kind::{Int, Text},
        RowsStatement, Sql,
    },
};

/// The analyses' part.
static END_ANALYSES: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql::same(
        "UPDATE analyses SET status = v.column2, result = v.column3,
             error_message = v.column4, completed_at = v.column5
         FROM {rows} v WHERE analyses.id = v.column1",
    );
    RowsStatement::new(&[Int, Text, Text, Text, Int], template)
});

/// The jobs' part. Their rows are locked since they were looked at.
static END_JOBS: LazyLock<RowsStatement> = LazyLock::new(|| {
    let template = Sql::same(
        "UPDATE jobs SET state = v.column2, notification_id = v.column3, sequence = v.column4,
             ended_at = v.column5, lease_until = NULL, reply = NULL,
             last_error = coalesce(v.column6, last_error),
             token = CASE WHEN v.column7 = 1 THEN token END
         FROM {rows} v WHERE jobs.id = v.column1",
    );
    RowsStatement::new(&[Int, Text, Int, Int, Int, Text, Int], template)
});

/// The end of a job and its analysis. The only place that writes one.
#[derive(Debug)]
pub(in crate::store) struct Ending<'a> {
    pub(in crate::store) job_id: i64,
    pub(in crate::store) analysis_id: i64,
    pub(in crate::store) terminal: &'a Terminal,
    /// The log entry that tells the owner.
    pub(in crate::store) place: Place,
    /// What went wrong, for the operator.
    pub(in crate::store) error: Option<&'a str>,
    /// True where the last attempt itself ended the job: its token recognises
    /// a repeated post.
    pub(in crate::store) keep_token: bool,
}

/// An ending as it is written.
struct Written<'e> {
    ending: &'e Ending<'e>,
    state: &'static str,
    status: &'static str,
    result: Option<String>,
    message: Option<String>,
}

impl Ending<'_> {
    /// Writes them all, in two statements.
    pub(in crate::store) async fn write_all(
        work: &mut Work<'_>,
        endings: &[Ending<'_>],
    ) -> Result<(), StoreError> {
        let written: Vec<Written<'_>> = endings
            .iter()
            .map(Written::of)
            .collect::<Result<_, StoreError>>()?;
        let now = work.now;
        work.tx
            .execute_rows(&END_ANALYSES, &written, |args, written| {
                args.push(written.ending.analysis_id)
                    .push(written.status)
                    .push(written.result.clone())
                    .push(written.message.clone())
                    .push(now.0);
            })
            .await?;
        work.tx
            .execute_rows(&END_JOBS, &written, |args, written| {
                let Ending {
                    job_id,
                    place,
                    error,
                    keep_token,
                    ..
                } = written.ending;
                args.push(*job_id)
                    .push(written.state)
                    .push(place.notification_id)
                    .push(place.sequence)
                    .push(now.0)
                    .push(error.map(str::to_owned))
                    .push(*keep_token);
            })
            .await?;
        for Written {
            ending, message, ..
        } in written
        {
            let kind = match ending.terminal {
                Terminal::Completed(_) => Happening::Completed,
                Terminal::Failed(_) => Happening::Failed,
            };
            work.note(ending.analysis_id, kind, message.unwrap_or_default());
        }
        Ok(())
    }
}

impl<'e> Written<'e> {
    fn of(ending: &'e Ending<'e>) -> Result<Self, StoreError> {
        Ok(match ending.terminal {
            Terminal::Completed(result) => {
                let result = result.as_ref().map(serde_json::to_string).transpose();
                Self {
                    ending,
                    state: "done",
                    status: "Completed",
                    result: result.map_err(|_| StoreError::Unreadable { what: "result" })?,
                    message: None,
                }
            }
            Terminal::Failed(message) => Self {
                ending,
                state: "failed",
                status: "Failed",
                result: None,
                message: Some(message.clone()),
            },
        })
    }
}
