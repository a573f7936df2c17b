//! A commit whose answer was lost: was it carried out?

use crate::store::LoggedEntry;

/// What is known of the transaction under way, should its connection be lost.
#[derive(Debug, Default)]
pub(in crate::store::database) struct Doubt {
    transaction: String,
    /// The entries of a commit that was sent and not answered.
    pending: Option<Vec<LoggedEntry>>,
}

impl Doubt {
    /// A transaction has begun, of this id.
    pub(super) fn begun(&mut self, transaction: String) {
        self.transaction = transaction;
        self.pending = None;
    }

    /// Its commit is about to be sent.
    pub(in crate::store::database) fn committing(&mut self, entries: &[LoggedEntry]) {
        self.pending = Some(entries.to_vec());
    }

    /// Its commit was answered.
    pub(in crate::store::database) fn committed(&mut self) {
        self.pending = None;
    }

    /// True between the two.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether there is anything to find out.
    pub(super) fn has_entries(&self) -> bool {
        self.pending
            .as_ref()
            .is_some_and(|entries| !entries.is_empty())
    }

    pub(super) fn transaction(&self) -> &str {
        &self.transaction
    }

    /// The doubt is over; its entries.
    pub(super) fn over(&mut self) -> Vec<LoggedEntry> {
        self.pending.take().unwrap_or_default()
    }
}
