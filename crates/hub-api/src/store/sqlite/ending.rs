//! The end of a job and its analysis.

use super::work::{Place, Work};
use crate::store::{Happening, StoreError, Terminal};

/// The end of a job and its analysis. The only place that writes one.
#[derive(Debug)]
pub(super) struct Ending<'a> {
    pub(super) job_id: i64,
    pub(super) analysis_id: i64,
    pub(super) terminal: &'a Terminal,
    /// The log entry that tells the owner.
    pub(super) place: Place,
    /// What went wrong, for the operator.
    pub(super) error: Option<&'a str>,
    /// True where the last attempt itself ended the job: its token recognises
    /// a repeated post.
    pub(super) keep_token: bool,
}

impl Ending<'_> {
    pub(super) async fn write(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let (state, status, kind, result, message) = match self.terminal {
            Terminal::Completed(result) => {
                let result = result.as_ref().map(serde_json::to_string).transpose();
                let result = result.map_err(|_| StoreError::Unreadable { what: "result" })?;
                ("done", "Completed", Happening::Completed, result, None)
            }
            Terminal::Failed(message) => (
                "failed",
                "Failed",
                Happening::Failed,
                None,
                Some(message.as_str()),
            ),
        };
        sqlx::query(
            "UPDATE analyses SET status = ?, result = ?, error_message = ?, completed_at = ?
             WHERE id = ?;
             UPDATE jobs SET state = ?, notification_id = ?, sequence = ?, ended_at = ?,
                 lease_until = NULL, reply = NULL, last_error = coalesce(?, last_error),
                 token = CASE WHEN ? THEN token END
             WHERE id = ?",
        )
        .bind(status)
        .bind(result)
        .bind(message)
        .bind(work.now.0)
        .bind(self.analysis_id)
        .bind(state)
        .bind(self.place.notification_id)
        .bind(self.place.sequence)
        .bind(work.now.0)
        .bind(self.error)
        .bind(self.keep_token)
        .bind(self.job_id)
        .execute(work.tx.conn().await?)
        .await?;
        let detail = match self.terminal {
            Terminal::Completed(_) => String::new(),
            Terminal::Failed(message) => message.clone(),
        };
        work.note(self.analysis_id, kind, detail);
        Ok(())
    }
}
