//! The notification log as an operator reads it: what was sent to whom, and
//! what became of it.

use shared_dto::UserId;

use super::clock::UnixMillis;

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryOutcome {
    /// A device of the user has it.
    Confirmed,
    /// It was handed to connections, and none has confirmed it.
    Sent,
    /// No connection of the user was there to take it.
    Waiting,
}

impl DeliveryOutcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Confirmed, Self::Sent, Self::Waiting];

    /// The outcome as it is shown and asked for.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Sent => "sent",
            Self::Waiting => "waiting",
        }
    }
}

/// Which notifications an operator asks for; what is absent does not narrow.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Of this user.
    pub user: Option<UserId>,
    /// About this analysis. Without a user, that of the analysis is meant.
    pub analysis_id: Option<i64>,
    /// That ended so.
    pub outcome: Option<DeliveryOutcome>,
    /// With a lower id than this.
    pub before: Option<i64>,
    /// At most so many; 1 to 1,000.
    pub limit: u32,
}

/// One notification and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The log entry.
    pub notification_id: i64,
    /// Whose it is.
    pub user: Option<UserId>,
    /// Position in the user's log.
    pub sequence: i64,
    /// The hub event that carries it.
    pub event: String,
    /// The analysis that it is about.
    pub analysis_id: Option<i64>,
    /// When it was logged.
    pub created_at: UnixMillis,
    /// How often it was handed to connections.
    pub attempts: u32,
    /// When last.
    pub attempted_at: Option<UnixMillis>,
    /// When a device was seen to have it.
    pub confirmed_at: Option<UnixMillis>,
    /// What showed it.
    pub receipt_source: Option<String>,
}

impl Delivery {
    /// What became of it.
    #[must_use]
    pub fn outcome(&self) -> DeliveryOutcome {
        match (self.confirmed_at, self.attempts) {
            (Some(_), _) => DeliveryOutcome::Confirmed,
            (None, 0) => DeliveryOutcome::Waiting,
            (None, _) => DeliveryOutcome::Sent,
        }
    }
}

/// A page of the notification log, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveriesPage {
    /// At most `limit` notifications.
    pub items: Vec<Delivery>,
    /// The `before` of the next page; absent on the last. A page may be short,
    /// or empty, and have a next one: each looks through a bounded part of the log.
    pub next_before: Option<i64>,
}
