//! What is left to settle with the broker when an attempt is over.

use std::sync::Arc;

use broker::{LinkState, acknowledge, give_back, lapin::Acker};

/// A delivery to settle, or none where no broker brought the job.
#[derive(Debug)]
pub(crate) struct Receipt(Option<(Acker, Arc<LinkState>)>);

impl Receipt {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(super) fn new(delivery: Acker, state: Arc<LinkState>) -> Self {
        Self(Some((delivery, state)))
    }

    /// Settles the delivery of a job that is `done` with, or gives it back.
    pub(crate) async fn settle(self, done: bool) {
        let Some((delivery, state)) = self.0 else {
            return;
        };
        if !done {
            give_back(&delivery).await;
        } else if !acknowledge(&delivery).await {
            // The hub has the outcome: whoever gets the message again finds
            // the job ended, or another attempt under way.
            state.lost_acknowledgement();
            tracing::info!("the broker's connection broke meanwhile: the message comes again");
        }
    }
}
