//! Outside answers that come over the result queue are brought to the hub.
//!
//! The hub decides: the answer's `resultUrl` was signed for one attempt. What
//! the hub refuses goes to the dead letters and is not tried again; while the
//! hub is away, or refuses this worker itself, the answer is held.

use std::sync::Arc;

use broker::{Consuming, LinkError, LinkState, acknowledge, lapin::message::Delivery, refuse};
use shared_dto::queue::OutsideResult;
use tokio_util::sync::CancellationToken;

use crate::hub::{Hub, Unsettled, until_settled};

/// The hub takes answers of 1 MiB, and what surrounds them is short.
const LONGEST_MESSAGE: usize = 2 * 1_024 * 1_024;

#[derive(Debug)]
pub(super) struct Results {
    pub(super) queue: String,
    pub(super) hub: Arc<Hub>,
    pub(super) stop: CancellationToken,
}

impl Results {
    /// Brings one answer after the other until the consumer ends.
    pub(super) async fn bring(&self, answers: &mut Consuming, state: &LinkState) -> LinkError {
        loop {
            let delivery = match answers.next().await {
                Ok(delivery) => delivery,
                Err(error) => return error,
            };
            let settled = match self.decide(&delivery).await {
                Some(true) => acknowledge(&delivery).await,
                Some(false) => refuse(&delivery).await,
                // The worker is leaving; the channel's end gives it back.
                None => return LinkError::Cancelled,
            };
            if !settled {
                state.lost_acknowledgement();
            }
        }
    }

    /// Whether the hub has the answer; `None` when the worker leaves before it says.
    async fn decide(&self, delivery: &Delivery) -> Option<bool> {
        let bytes = delivery.data.len();
        let result = (bytes <= LONGEST_MESSAGE)
            .then(|| serde_json::from_slice::<OutsideResult>(&delivery.data).ok())
            .flatten();
        let Some(result) = result else {
            tracing::error!(bytes, "a message of the result queue is no answer");
            return Some(false);
        };
        let what = "bringing an outside answer";
        let brought = until_settled(what, &self.stop, || self.hub.outside_result(&result)).await;
        match brought {
            Ok(()) => {
                tracing::info!(bytes, "an outside answer was brought to the hub");
                Some(true)
            }
            Err(Unsettled::Stopped) => None,
            Err(Unsettled::Final(error)) => {
                tracing::error!(%error, "the hub refuses an outside answer");
                Some(false)
            }
        }
    }
}
