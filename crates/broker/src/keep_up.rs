//! Sessions with the broker, one after the other.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    Broker,
    error::{Conflict, LinkError},
    link::Link,
    state::LinkState,
};

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// A session that lived for so long was a good one: the waits begin anew.
const GOOD: Duration = Duration::from_secs(30);

/// What is done on a connection.
pub trait Session: Send {
    /// Works on `link`, whose queues are declared, and tells `state` once it
    /// does. Ends with an error when the link must be rebuilt, and without one
    /// when it was told to leave.
    fn run(
        &mut self,
        link: &Link,
        state: &LinkState,
    ) -> impl Future<Output = Result<(), LinkError>> + Send;
}

/// Runs `session` on one connection after the other until `stop`, or until it
/// leaves by itself. Trouble is waited out, from the start on.
///
/// # Errors
/// [`Conflict`] when a queue of the first connection cannot be used. Later the
/// same is told and tried again: a running service goes on with what it has.
pub async fn keep_up(
    broker: &Broker,
    name: &str,
    state: &LinkState,
    stop: &CancellationToken,
    session: &mut impl Session,
) -> Result<(), Conflict> {
    let (mut failures, mut was_good) = (0, false);
    loop {
        let began = Instant::now();
        let error = match one(broker, name, state, stop, session).await {
            Ok(()) => return Ok(()),
            Err(LinkError::Conflict(conflict)) if !was_good => return Err(conflict),
            Err(error) => error,
        };
        was_good |= state.is_working();
        if state.is_working() && began.elapsed() > GOOD {
            failures = 0;
        }
        state.broke(&error);
        let wait = wait(failures);
        failures += 1;
        tracing::warn!(link = name, broker = %broker.address(), %error, ?wait, "the broker is away");
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(wait) => {}
        }
    }
}

/// One connection until it ends, or until `stop`, and then its goodbye: what
/// was settled last is on its way before it.
async fn one(
    broker: &Broker,
    name: &str,
    state: &LinkState,
    stop: &CancellationToken,
    session: &mut impl Session,
) -> Result<(), LinkError> {
    let link = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        opened = Link::open(broker, name) => opened?,
    };
    let worked = async {
        broker.topology().declare(&link).await?;
        tracing::info!(link = name, broker = %broker.address(), "connected to the broker");
        session.run(&link, state).await
    };
    let ended = tokio::select! {
        biased;
        ended = worked => ended,
        lost = link.lost() => Err(lost),
        () = stop.cancelled() => Ok(()),
    };
    // A blocked connection writes nothing, not even its farewell.
    if !link.is_blocked() {
        link.close().await;
    }
    ended
}

/// Doubles up to its bound; at random, lest all come back together.
fn wait(failures: u32) -> Duration {
    let bound = FIRST_WAIT
        .saturating_mul(2_u32.saturating_pow(failures.min(16)))
        .min(LONGEST_WAIT);
    bound.mul_f64(rand::random_range(0.2..=1.0))
}
