//! A consumer, its deliveries, and how each is settled.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::{
    Acker, Channel, Consumer,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions,
        BasicQosOptions, BasicRejectOptions,
    },
    types::FieldTable,
};
use tokio::time::timeout;

use crate::{error::LinkError, link::Link};

const PATIENCE: Duration = Duration::from_secs(10);

/// A registered consumer.
#[derive(Debug)]
pub struct Consuming {
    consumer: Consumer,
    channel: Channel,
}

impl Link {
    /// Registers a consumer of `queue` that is given at most `prefetch`
    /// deliveries before it settles some.
    ///
    /// # Errors
    /// [`LinkError`] when the broker registers none.
    pub async fn consume(&self, queue: &str, prefetch: u16) -> Result<Consuming, LinkError> {
        let channel = self.channel().await?;
        let registered = async {
            channel
                .basic_qos(prefetch, BasicQosOptions::default())
                .await?;
            channel
                .basic_consume(
                    queue.into(),
                    "".into(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await
        };
        let consumer = timeout(PATIENCE, registered)
            .await
            .map_err(|_| LinkError::TimedOut("registering the consumer"))??;
        Ok(Consuming { consumer, channel })
    }
}

impl Consuming {
    /// The next delivery.
    ///
    /// # Errors
    /// [`LinkError`] when no more will come.
    pub async fn next(&mut self) -> Result<Delivery, LinkError> {
        match self.consumer.next().await {
            Some(Ok(delivery)) => Ok(delivery),
            Some(Err(error)) => Err(error.into()),
            None => Err(LinkError::Cancelled),
        }
    }

    /// Takes no more deliveries, and gives back those that nobody looked at.
    /// Others can still be settled.
    pub async fn leave(&mut self) {
        let cancelled = self
            .channel
            .basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        // The channel's end is as good.
        let _ = timeout(PATIENCE, cancelled).await;
        while let Some(Some(Ok(delivery))) = self.consumer.next().now_or_never() {
            give_back(&delivery).await;
        }
    }
}

/// Tells the broker that a delivery is done with. False when it does not know:
/// the channel is gone (lapin says `Ok(false)` then, which is no success), and
/// the message will be delivered again.
pub async fn acknowledge(delivery: &Acker) -> bool {
    settled(delivery.ack(BasicAckOptions::default())).await
}

/// Sends a delivery to the dead-letter queue. False as for [`acknowledge`].
pub async fn refuse(delivery: &Acker) -> bool {
    settled(delivery.reject(BasicRejectOptions { requeue: false })).await
}

/// Gives a delivery back unused, for another consumer. It counts as a delivery
/// of the message all the same, so that this is for leaving alone and never a
/// way to wait. False as for [`acknowledge`].
pub async fn give_back(delivery: &Acker) -> bool {
    let options = BasicNackOptions {
        requeue: true,
        ..BasicNackOptions::default()
    };
    settled(delivery.nack(options)).await
}

async fn settled(settling: impl Future<Output = lapin::Result<bool>>) -> bool {
    match timeout(PATIENCE, settling).await {
        Ok(Ok(settled)) => settled,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a delivery could not be settled");
            false
        }
        Err(_) => false,
    }
}
