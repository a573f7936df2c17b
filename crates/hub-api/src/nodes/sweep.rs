//! The search for entries that no hint told of.
//!
//! A hint may be lost: Redis was away, or there is none and the hubs share
//! their database only. So each node asks the database now and then where the
//! streams stand that have clients here.

use std::{collections::HashMap, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Nodes;
use crate::{
    delivery::Delivery,
    store::{Store, StoreError, Stream, StreamHead},
};

/// Streams of one statement.
const AT_ONCE: usize = 500;

/// Looks about every `interval`, and whenever something may have been missed,
/// until `stop`.
///
/// # Errors
/// Never; a task of the hub has an error's place.
pub async fn sweep(
    nodes: Nodes,
    delivery: Delivery,
    store: Store,
    interval: Duration,
    stop: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    loop {
        // Nodes that were started together do not ask together.
        let pause = interval.mul_f64(rand::random_range(0.75..1.25));
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = nodes.shared.missed.notified() => {}
            () = sleep(pause) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            found = look(&delivery, &store) => match found {
                Ok(0) => {}
                Ok(streams) => tracing::debug!(streams, "entries that no hint told of"),
                Err(error) => tracing::warn!(%error, "the log cannot be searched for what was missed"),
            },
        }
    }
}

async fn look(delivery: &Delivery, store: &Store) -> Result<usize, StoreError> {
    let known = delivery.streams_here();
    let mut found = 0;
    for some in known.chunks(AT_ONCE) {
        let grown = store.heads_beyond(some).await?;
        found += grown.len();
        let positions: HashMap<&Stream, i64> = some
            .iter()
            .map(|(stream, known)| (stream, *known))
            .collect();
        delivery.look(grown.into_iter().filter_map(|StreamHead { stream, head }| {
            let known = *positions.get(&stream)?;
            Some((stream, (known + 1, head)))
        }));
    }
    Ok(found)
}
