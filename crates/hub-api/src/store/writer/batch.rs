//! What a transaction carries out, and how it is taken apart: by what it
//! locks where other hubs write as well, and into its parts when it failed.

use super::{Locks, append::QueuedAppend, queue::QueuedOperation, receipts::Share};

/// What one transaction carries out.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) appends: Vec<QueuedAppend>,
    pub(super) operations: Vec<Box<dyn QueuedOperation>>,
    pub(super) receipts: Share,
}

impl Batch {
    pub(super) fn parts(&self) -> usize {
        self.appends.len() + self.operations.len() + usize::from(!self.receipts.is_empty())
    }

    /// Appends, operations by what they lock, and receipts, as a batch each.
    pub(super) fn by_kind(self) -> impl Iterator<Item = Self> {
        let Self {
            appends,
            operations,
            receipts,
        } = self;
        let appends = Self {
            appends,
            ..Self::default()
        };
        let of = |operations| Self {
            operations,
            ..Self::default()
        };
        let (mut on_jobs, mut on_streams, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        for operation in operations {
            match operation.locks() {
                Locks::Job(_) | Locks::Key(..) | Locks::Nothing => on_jobs.push(operation),
                Locks::Stream(_) => on_streams.push(operation),
                Locks::Many => alone.push(of(vec![operation])),
            }
        }
        for operations in [&mut on_jobs, &mut on_streams] {
            operations.sort_by(|one, other| one.locks().cmp(&other.locks()));
        }
        let receipts = Self {
            receipts,
            ..Self::default()
        };
        [appends, of(on_jobs), of(on_streams)]
            .into_iter()
            .chain(alone)
            .chain([receipts])
            .filter(|batch| batch.parts() > 0)
    }

    /// Each part as a batch of its own.
    pub(super) fn split(self) -> impl Iterator<Item = Self> {
        let Self {
            appends,
            operations,
            receipts,
        } = self;
        let appends = appends.into_iter().map(|append| Self {
            appends: vec![append],
            ..Self::default()
        });
        let operations = operations.into_iter().map(|operation| Self {
            operations: vec![operation],
            ..Self::default()
        });
        let receipts = (!receipts.is_empty()).then(|| Self {
            receipts,
            ..Self::default()
        });
        appends.chain(operations).chain(receipts)
    }
}
