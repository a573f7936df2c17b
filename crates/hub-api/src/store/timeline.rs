//! What happened to one analysis, in the order in which it was recorded.

use shared_dto::UserId;

use super::{analyses::AnalysisRow, clock::UnixMillis};

/// One thing that happened to an analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Happening {
    /// The upload was accepted.
    Uploaded,
    /// A worker took the job.
    Leased,
    /// The worker told a new stage.
    Progress,
    /// The attempt waits for an outside answer.
    Parked,
    /// The outside answer came.
    Replied,
    /// The attempt failed and another will follow.
    Retried,
    /// The worker handed the job back unused.
    HandedBack,
    /// No sign of life came in time.
    LeaseExpired,
    /// The broker could not deliver the job.
    DeadLettered,
    /// The analysis ended with a result.
    Completed,
    /// The analysis ended without one.
    Failed,
    /// A notification was written to the owner's log.
    Logged,
    /// The notification was handed to connections.
    Handed,
    /// A device has the notification.
    Confirmed,
}

impl Happening {
    /// All, for reading them back.
    pub(in crate::store) const ALL: [Self; 14] = [
        Self::Uploaded,
        Self::Leased,
        Self::Progress,
        Self::Parked,
        Self::Replied,
        Self::Retried,
        Self::HandedBack,
        Self::LeaseExpired,
        Self::DeadLettered,
        Self::Completed,
        Self::Failed,
        Self::Logged,
        Self::Handed,
        Self::Confirmed,
    ];

    /// What an operator looks into: an attempt or an analysis that came to nothing.
    pub(in crate::store) const SETBACKS: [Self; 4] = [
        Self::Retried,
        Self::LeaseExpired,
        Self::DeadLettered,
        Self::Failed,
    ];

    /// Order among happenings of the same millisecond: an entry is logged
    /// before it is handed on, and handed on before it is confirmed.
    pub(in crate::store) fn rank(self) -> u8 {
        match self {
            Self::Logged => 1,
            Self::Handed => 2,
            Self::Confirmed => 3,
            _ => 0,
        }
    }

    /// The happening as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Leased => "leased",
            Self::Progress => "progress",
            Self::Parked => "parked",
            Self::Replied => "replied",
            Self::Retried => "retried",
            Self::HandedBack => "handed back",
            Self::LeaseExpired => "lease expired",
            Self::DeadLettered => "dead-lettered",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Logged => "logged",
            Self::Handed => "handed",
            Self::Confirmed => "confirmed",
        }
    }
}

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When it happened.
    pub at: UnixMillis,
    /// What happened.
    pub kind: Happening,
    /// The particulars in words: worker and attempt, stage, sequence.
    pub detail: String,
}

/// An analysis with all that is known of its way.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisHistory {
    /// The analysis.
    pub analysis: AnalysisRow,
    /// The owner, as the timeline was asked for.
    pub user: UserId,
    /// What happened, oldest first.
    pub entries: Vec<TimelineEntry>,
}

/// What went wrong with an analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// The analysis.
    pub analysis_id: i64,
    /// What happened.
    pub entry: TimelineEntry,
}
