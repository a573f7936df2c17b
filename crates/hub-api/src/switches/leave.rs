//! Closes the connections of clients that a switch has turned out: kindly, one
//! after another, with a text, and such that they come back by themselves once
//! they may.

use std::{convert::Infallible, time::Duration};

use signalr::{ConnectionId, HubServer};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Switches;

/// However many they are, they are closed within this time.
const SPREAD: Duration = Duration::from_secs(2);

/// After a change it is looked again: for clients that were just being let in,
/// and for those that had negotiated before it.
const LOOK_AGAIN: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(15),
];

const TEXT: &str = "Live updates were switched off for now.";

/// Follows the switches until `stop`.
pub(crate) async fn close_those_who_may_not_stay(
    switches: Switches,
    hub: HubServer,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut changed = switches.changed();
    loop {
        if stop.run_until_cancelled(changed.changed()).await.is_none() {
            return Ok(());
        }
        for pause in LOOK_AGAIN {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(pause) => {}
                _ = changed.changed() => changed.mark_changed(),
            }
            close_round(&switches, &hub).await;
            if changed.has_changed().unwrap_or(false) {
                break;
            }
        }
    }
}

async fn close_round(switches: &Switches, hub: &HubServer) {
    let leaving: Vec<ConnectionId> = hub
        .connections()
        .into_iter()
        .filter(|each| {
            let user = each.user_id.as_deref().unwrap_or_default();
            !switches.state().signalr || !switches.reaches(user)
        })
        .map(|each| each.connection_id)
        .collect();
    if leaving.is_empty() {
        return;
    }
    tracing::info!(connections = leaving.len(), "switches.closing");
    let pause = SPREAD / u32::try_from(leaving.len()).unwrap_or(u32::MAX);
    for id in leaving {
        if switches.state().signalr && switches.state().rollout_percent >= 100 {
            return;
        }
        hub.close(id, Some(TEXT.to_owned()), true);
        sleep(pause).await;
    }
}
