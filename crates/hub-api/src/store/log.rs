//! The notification log as callers see it: streams, entries, what is
//! confirmed and what is acknowledged.

use std::{fmt, sync::Arc};
use telemetry::trace::TraceParent;

use shared_dto::{UserId, analysis::AnalysisResult};

use super::{analyses::Idempotency, clock::UnixMillis};

/// The key of one ordered log: `user:42`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream(Arc<str>);

impl Stream {
    /// The log of one user.
    #[must_use]
    pub fn of_user(user: &UserId) -> Self {
        Self(format!("user:{user}").into())
    }

    /// A key as it is stored.
    pub(in crate::store) fn from_row(key: String) -> Self {
        Self(key.into())
    }

    /// Reads a key as other hubs write it; `None` for one that there is not.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let stream = Self(key.into());
        stream.user().is_some().then_some(stream)
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as shared text, without a copy.
    pub(in crate::store) fn to_arc(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The user whose log this is.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.0
            .strip_prefix("user:")
            .and_then(|id| UserId::new(id).ok())
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A notification to append.
#[derive(Debug, Clone)]
pub struct NewNotification {
    /// Whose log it goes to.
    pub stream: Stream,
    /// The hub event that carries it, e.g. `ReceiveAnalysisCompleted`.
    pub event: Arc<str>,
    /// The event's argument as JSON text, without `notificationId` and
    /// `sequence`, and with image paths unsigned.
    pub payload: Arc<str>,
    /// The analysis that it is about, where it is about one. With an
    /// [`Outcome`] the job's analysis counts, whatever stands here.
    pub analysis_id: Option<i64>,
    /// Makes a repeated request give back the first answer.
    pub idempotency: Option<Idempotency>,
    /// The attempt that this is the end of. Without it the notification is a
    /// plain one and changes nothing but the log.
    pub outcome: Option<Outcome>,
    /// Where in a trace it was posted; kept until it is handed out.
    pub trace: Option<TraceParent>,
}

/// The end of one attempt, and by it of the analysis.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The job.
    pub job_id: i64,
    /// The lease's fencing token.
    pub token: String,
    /// How the analysis ends.
    pub terminal: Terminal,
}

/// How an analysis ends.
#[derive(Debug, Clone)]
pub enum Terminal {
    /// With a result, where the notification came with one.
    Completed(Option<Box<AnalysisResult>>),
    /// Without one: what the user is told.
    Failed(String),
}

/// What became of a [`NewNotification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// It is in the log and was handed to the delivery hook.
    Appended(Appended),
    /// It was there already: the first answer. `connections` is 0.
    Repeated(Appended),
    /// The idempotency key was used before with another body.
    Conflict,
    /// There is no such job.
    UnknownJob,
    /// The job's analysis belongs to somebody else.
    NotOwner,
    /// The token is no longer that of the job's lease, or the job has ended otherwise.
    StaleAttempt,
}

/// Where a notification stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Unique over all streams.
    pub notification_id: i64,
    /// Position in its stream, from 1, without holes.
    pub sequence: i64,
    /// What the delivery hook returned for it.
    pub connections: usize,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEntry {
    /// Unique over all streams.
    pub notification_id: i64,
    /// Whose log it is in.
    pub stream: Stream,
    /// Position in the stream, from 1, without holes.
    pub sequence: i64,
    /// The hub event that carries it.
    pub event: Arc<str>,
    /// The event's argument as JSON text, as it was appended.
    pub payload: Arc<str>,
    /// The analysis that it is about.
    pub analysis_id: Option<i64>,
    /// When it was logged.
    pub created_at: UnixMillis,
    /// Where in a trace it was posted, where it was posted just now.
    pub trace: Option<TraceParent>,
}

/// Where a stream stands. A stream that was never written to has head 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Random text made with the database: sequences of another epoch mean nothing.
    pub epoch: Arc<str>,
    /// The first sequence that is still kept; `head + 1` when none is.
    pub oldest: i64,
    /// The newest sequence, 0 when there was never one.
    pub head: i64,
    /// Some connection of the user has everything up to here.
    pub confirmed: i64,
    /// A person or client said that it saw everything up to here.
    pub acknowledged: i64,
}

impl StreamState {
    /// How many entries nobody acknowledged, among those that are kept.
    #[must_use]
    pub fn unread(&self) -> i64 {
        self.head - self.acknowledged.max(self.oldest - 1)
    }
}

/// A stream that has entries beyond those that somebody knows of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    /// The stream.
    pub stream: Stream,
    /// Its newest sequence.
    pub head: i64,
}

/// A page of the log, in order of the sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Where the stream stands; read in the same snapshot as the entries.
    pub state: StreamState,
    /// At most `limit` entries above `after`.
    pub entries: Vec<LoggedEntry>,
}

impl Page {
    /// False when entries after `after` are no longer kept.
    #[must_use]
    pub fn complete_after(&self, after: i64) -> bool {
        after + 1 >= self.state.oldest
    }
}

/// What showed that a device has a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiptSource {
    /// The WebSocket Pong to a Ping frame that was written behind it.
    Pong,
    /// The client's `Acknowledge`, or the REST route of the same meaning.
    Acknowledge,
    /// The next poll of a long-polling client.
    Poll,
    /// A hub message that the client sent later (Server-Sent Events).
    HubMessage,
    /// The cursor of a `Resume`.
    Resume,
}

impl ReceiptSource {
    /// The source as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pong => "pong",
            Self::Acknowledge => "acknowledge",
            Self::Poll => "poll",
            Self::HubMessage => "hub message",
            Self::Resume => "resume",
        }
    }
}

/// A connection of the user has everything up to `sequence`, which the hub
/// itself sent to it: it is never beyond the head.
#[derive(Debug, Clone)]
pub struct Confirmation {
    /// Whose log.
    pub stream: Stream,
    /// Up to and with this sequence.
    pub sequence: i64,
    /// What showed it.
    pub source: ReceiptSource,
    /// When it was seen.
    pub at: UnixMillis,
}

/// An entry was handed to connections after its append: a replay, or a
/// connection that had been away. What the delivery hook returns is recorded
/// without this.
#[derive(Debug, Clone)]
pub struct Handed {
    /// Whose log the entry is in.
    pub stream: Stream,
    /// The analysis that the entry is about, whose timeline tells of it.
    pub analysis_id: Option<i64>,
    /// The entry's sequence.
    pub sequence: i64,
    /// How many connections it was handed to.
    pub connections: usize,
    /// When.
    pub at: UnixMillis,
}

/// What the store calls with each commit's entries, in commit order, which
/// for each stream is the order of the sequence. It is called by the one
/// writer, before the appends are answered, so it must not block; it returns
/// for each entry how many connections it was handed to.
pub type OnCommitted = Box<dyn FnMut(&[LoggedEntry]) -> Vec<usize> + Send>;
