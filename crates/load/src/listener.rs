//! The part of a client that receives: it counts and times the run's messages,
//! answers pings, and sends its own.

use std::{sync::Arc, time::Duration};

use signalr::protocol::HubMessage;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{
    client::{Client, ClientError},
    probe::Probe,
    run::{Run, add},
    tally::Tally,
};

/// As official clients do by default.
const PING_EVERY: Duration = Duration::from_secs(15);

/// Receives until the run stops or the server ends the connection.
pub(crate) async fn listen(run: Arc<Run>, mut client: Client, place: u64) -> Tally {
    let mut tally = Tally::default();
    match receive_all(&run, &mut client, place, &mut tally).await {
        Ok(()) => client.leave(&run.server).await,
        Err(error) => run.closed(&error),
    }
    tally
}

/// Receives until the run stops.
pub(crate) async fn receive_all(
    run: &Run,
    client: &mut Client,
    place: u64,
    tally: &mut Tally,
) -> Result<(), ClientError> {
    let mut pings = pings(place);
    loop {
        tokio::select! {
            () = run.stop.cancelled() => return Ok(()),
            received = client.receive(|message| take(run, place, &message, tally)) => received?,
            _ = pings.tick() => client.ping(&run.server).await?,
        }
    }
}

/// The times of a client's own pings: not those of all others.
pub(crate) fn pings(place: u64) -> tokio::time::Interval {
    let shift = PING_EVERY.mul_f64((place % 97) as f64 / 97.0);
    let mut pings = interval_at(Instant::now() + PING_EVERY / 2 + shift / 2, PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
}

fn take(run: &Run, place: u64, message: &HubMessage<'_>, tally: &mut Tally) {
    let HubMessage::Invocation(invocation) = message else {
        return;
    };
    let mut arguments = invocation.arguments.iter();
    let Some(probe) = arguments.find_map(|argument| Probe::find(argument.as_bytes())) else {
        return;
    };
    if probe.run != run.id {
        return;
    }
    let user = run.server.user_of(place);
    if probe.stream != user && probe.stream != Probe::TO_ALL {
        run.failed(&"a client received what is another user's");
        return;
    }
    if tally.record(probe.number) {
        add(&run.counts.received, 1);
        run.arrived(place, probe.due, run.now());
    }
}
