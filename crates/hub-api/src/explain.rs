//! `hub-api explain`: the way of one analysis from upload to receipt, for the
//! terminal.
//!
//! It owns the words and the arithmetic; what happened comes from the store.
//! It writes nothing and asks no other part of the hub.

use std::{fmt, time::Duration};

use shared_dto::{UserId, analysis::AnalysisStatus};

use crate::store::{AnalysisHistory, Happening, Store, StoreError, TimelineEntry, UnixMillis};

/// Why there is no timeline.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// This user has no such analysis; somebody else may.
    #[error("user {user} has no analysis {analysis}")]
    NotFound {
        /// The user that was asked for.
        user: UserId,
        /// The analysis that was asked for.
        analysis: i64,
    },
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Everything that is known of one analysis' way. Its `Display` is for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline(AnalysisHistory);

/// Reads the way of one analysis of `user`.
///
/// # Errors
/// [`ExplainError`] when there is no such analysis or the database cannot be read.
pub async fn explain(
    store: &Store,
    user: &UserId,
    analysis: i64,
) -> Result<Timeline, ExplainError> {
    let history = store.history_of(user, analysis).await?;
    let not_found = || ExplainError::NotFound {
        user: user.clone(),
        analysis,
    };
    history.map(Timeline).ok_or_else(not_found)
}

impl Timeline {
    /// What happened, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[TimelineEntry] {
        &self.0.entries
    }

    fn first(&self, kind: Happening) -> Option<UnixMillis> {
        self.0
            .entries
            .iter()
            .find(|entry| entry.kind == kind)
            .map(|entry| entry.at)
    }

    /// When the notification that ended the analysis was logged.
    fn end_logged(&self) -> Option<UnixMillis> {
        let end = self.0.analysis.completed_at?;
        let logged = |entry: &&TimelineEntry| entry.kind == Happening::Logged && entry.at >= end;
        self.0.entries.iter().find(logged).map(|entry| entry.at)
    }

    fn write_summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uploaded = self.0.analysis.created_at;
        let Some(ended) = self.0.analysis.completed_at else {
            return writeln!(f, "Not ended yet: {}.", self.waiting_for());
        };
        write!(f, "Upload to end {}", Seconds(ended.since(uploaded)))?;
        if let Some(leased) = self.first(Happening::Leased) {
            write!(f, ": {} in the queue", Seconds(leased.since(uploaded)))?;
            write!(f, ", {} with workers", Seconds(ended.since(leased)))?;
        }
        writeln!(f, ".")?;
        let Some(logged) = self.end_logged() else {
            return writeln!(f, "Its notification is no longer kept in the log.");
        };
        match self.confirmed_after(logged) {
            Some(confirmed) => {
                writeln!(
                    f,
                    "A device had it {} later.",
                    Seconds(confirmed.since(logged))
                )
            }
            None => writeln!(
                f,
                "No device of the user has confirmed its notification yet."
            ),
        }
    }

    fn confirmed_after(&self, logged: UnixMillis) -> Option<UnixMillis> {
        let receipt =
            |entry: &&TimelineEntry| entry.kind == Happening::Confirmed && entry.at >= logged;
        self.0.entries.iter().find(receipt).map(|entry| entry.at)
    }

    fn waiting_for(&self) -> &'static str {
        let decisive = self
            .0
            .entries
            .iter()
            .rev()
            .find_map(|entry| match entry.kind {
                Happening::Uploaded => Some("no worker has taken it"),
                Happening::Leased | Happening::Progress => Some("a worker has it"),
                Happening::Parked => Some("it waits for an outside answer"),
                Happening::Replied => Some("an answer waits to be mapped by a worker"),
                Happening::Retried | Happening::HandedBack | Happening::LeaseExpired => {
                    Some("it waits for its next attempt")
                }
                _ => None,
            });
        decisive.unwrap_or("nothing is known of its way")
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AnalysisHistory {
            analysis,
            user,
            entries,
        } = &self.0;
        write!(
            f,
            "Analysis {} of user {user}: {}",
            analysis.id,
            analysis.status.as_str()
        )?;
        match (&analysis.status, &analysis.error_message, &analysis.result) {
            (AnalysisStatus::Failed, Some(message), _) => writeln!(f, ", \"{message}\"")?,
            (AnalysisStatus::Completed, _, Some(result)) => {
                match (&result.primary_concern, result.overall_health_score) {
                    (Some(concern), Some(score)) => writeln!(f, ", {concern} (health {score})")?,
                    (Some(concern), None) => writeln!(f, ", {concern}")?,
                    (None, Some(score)) => writeln!(f, ", health {score}")?,
                    (None, None) => writeln!(f)?,
                }
            }
            _ => writeln!(f)?,
        }
        self.write_summary(f)?;
        writeln!(f)?;
        for entry in entries {
            let after = entry.at.since(analysis.created_at);
            let at = entry.at.to_datetime();
            let line = format!(
                "{} {:02}:{:02}:{:02}.{:03}Z  {:>10}  {:<13}  {}",
                at.date(),
                at.hour(),
                at.minute(),
                at.second(),
                at.millisecond(),
                format!("+{}", Seconds(after)),
                entry.kind.as_str(),
                entry.detail,
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A duration as a person reads it: `0.007 s`, `12.3 s`, `4 min 5 s`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 10.0 {
            write!(f, "{seconds:.3} s")
        } else if seconds < 120.0 {
            write!(f, "{seconds:.1} s")
        } else {
            write!(
                f,
                "{} min {} s",
                self.0.as_secs() / 60,
                self.0.as_secs() % 60
            )
        }
    }
}
