//! Closes the connections of clients that a switch has turned out: kindly, one
//! after another, with a text, and such that they come back by themselves once
//! they may.

use std::{convert::Infallible, time::Duration};

use signalr::{ConnectionId, HubServer};
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use super::Switches;

/// However many they are, they are closed within this time.
const SPREAD: Duration = Duration::from_secs(2);

/// So often some of them are closed: a timer does not wake for each of many.
const TICK: Duration = Duration::from_millis(10);

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
            let round = close_round(&switches, &hub);
            if stop.run_until_cancelled(round).await.is_none() {
                return Ok(());
            }
            if changed.has_changed().unwrap_or(false) {
                break;
            }
        }
    }
}

async fn close_round(switches: &Switches, hub: &HubServer) {
    let may_stay = |user: &str| switches.state().signalr && switches.reaches(user);
    let leaving: Vec<(ConnectionId, String)> = hub
        .connections()
        .into_iter()
        .map(|each| (each.connection_id, each.user_id.unwrap_or_default()))
        .filter(|(_, user)| !may_stay(user))
        .collect();
    if leaving.is_empty() {
        return;
    }
    tracing::info!(connections = leaving.len(), "switches.closing");
    let mut ticks = interval(TICK);
    for some in leaving.chunks(in_a_tick(leaving.len())) {
        ticks.tick().await;
        for (id, user) in some {
            // The switches may have been turned back since.
            if !may_stay(user) {
                hub.close(*id, Some(TEXT.to_owned()), true);
            }
        }
    }
}

/// How many of `count` are closed at a time, so that all of them are in [`SPREAD`].
fn in_a_tick(count: usize) -> usize {
    const TICKS: u128 = SPREAD.as_millis() / TICK.as_millis();
    count.div_ceil(TICKS as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_they_are_they_leave_in_time_and_few_not_at_once() {
        for count in [1_usize, 199, 200, 201, 20_000, 1_000_000] {
            let ticks = count.div_ceil(in_a_tick(count));
            assert!(TICK * u32::try_from(ticks).unwrap() <= SPREAD, "{count}");
        }
        assert_eq!((in_a_tick(20), in_a_tick(20_000)), (1, 100));
    }
}
