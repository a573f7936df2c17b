//! What can go wrong between a service and the broker.

use lapin::{ErrorKind, protocol::AMQPErrorKind};

/// Why a session with the broker ended, or could not begin.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LinkError {
    /// No connection could be made.
    #[error("the broker cannot be reached: {0}")]
    Unreachable(String),
    /// Something was not done in time.
    #[error("the broker did not answer in time: {0}")]
    TimedOut(&'static str),
    /// Connection or channel are gone.
    #[error("the broker's connection broke: {0}")]
    Lost(String),
    /// The broker ended the consumer, as when its queue is deleted.
    #[error("the broker cancelled the consumer")]
    Cancelled,
    /// A queue exists and is another than the one that is needed.
    #[error(transparent)]
    Conflict(#[from] Conflict),
}

impl LinkError {
    /// Which of them it is, without the broker's words or an address: fit to be
    /// shown to everybody.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "the broker cannot be reached",
            Self::TimedOut(_) => "the broker did not answer in time",
            Self::Lost(_) => "the broker's connection broke",
            Self::Cancelled => "the broker cancelled the consumer",
            Self::Conflict(_) => "a queue exists with other properties",
        }
    }
}

/// A queue or exchange exists, with other properties than those that are
/// declared. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {name:?} exists with another {property} ({detail}). Delete it when it is empty, \
     or choose another name with {setting}"
)]
pub struct Conflict {
    /// "the queue" or "the exchange".
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// The argument or property that differs.
    pub property: String,
    /// The broker's words.
    pub detail: String,
    /// The variable that names it.
    pub setting: &'static str,
}

impl From<lapin::Error> for LinkError {
    fn from(error: lapin::Error) -> Self {
        Self::Lost(describe(&error))
    }
}

/// The broker's own words where it sent some.
pub(crate) fn describe(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => {
            format!("{} {}", error.get_id(), error.get_message().as_str())
        }
        ErrorKind::MissingHeartbeatError => "no sign of life from the broker".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether an error says that what is declared exists otherwise.
pub(crate) fn precondition(error: &lapin::Error) -> Option<String> {
    let ErrorKind::ProtocolError(error) = error.kind() else {
        return None;
    };
    matches!(error.kind(), AMQPErrorKind::Soft(_))
        .then(|| error.get_message().as_str().to_owned())
        .filter(|text| text.starts_with("PRECONDITION_FAILED"))
}
