//! Repeating a call to the hub until it is decided.

use std::{future::Future, time::Duration};

use tokio_util::sync::CancellationToken;

use super::HubError;
use crate::backoff::{Backoff, spread};

/// The first wait is at most this long.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// No wait is longer, unless the hub asks for it.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// After the hub refused the worker itself: an operator has to mend that, and
/// nothing that was done already is lost by it meanwhile.
const REFUSED: Duration = Duration::from_secs(10);

/// Why a repeated call has no good answer.
#[derive(Debug)]
pub(crate) enum Unsettled {
    /// Nobody waits for it any more.
    Stopped,
    /// The hub will not answer otherwise.
    Final(HubError),
}

/// Repeats `call` until it succeeds or what it brings is refused for good, or
/// until `stop`.
/// A call under way is not cut off by `stop`: the hub may be about to commit it.
pub(crate) async fn until_settled<T, F>(
    what: &'static str,
    stop: &CancellationToken,
    mut call: impl FnMut() -> F,
) -> Result<T, Unsettled>
where
    F: Future<Output = Result<T, HubError>>,
{
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let wait = match error.retry_in(&mut backoff) {
            Some(wait) => wait,
            None if error.is_about_the_worker() => spread(REFUSED),
            None => return Err(Unsettled::Final(error)),
        };
        match &error {
            HubError::Refused { .. } => {
                tracing::error!(what, %error, ?wait, "the hub refuses this worker, trying again");
            }
            HubError::BreakerOpen { .. } => tracing::debug!(what, %error, "waiting for the hub"),
            _ => tracing::warn!(what, %error, ?wait, "the hub did not take it, trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return Err(Unsettled::Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn soon() -> HubError {
        HubError::BreakerOpen {
            retry_in: Duration::from_millis(1),
        }
    }

    #[tokio::test]
    async fn it_is_repeated_until_it_succeeds() {
        let tries = Cell::new(0);
        let answer = until_settled("test", &CancellationToken::new(), || {
            tries.set(tries.get() + 1);
            let tries = tries.get();
            async move { if tries < 100 { Err(soon()) } else { Ok(tries) } }
        })
        .await;
        assert_eq!(answer.unwrap(), 100);
    }

    #[tokio::test]
    async fn a_refusal_is_final_and_a_stop_ends_the_wait() {
        let stop = CancellationToken::new();
        let refused =
            until_settled("test", &stop, || async { Err::<(), _>(HubError::Stale) }).await;
        assert!(matches!(refused, Err(Unsettled::Final(HubError::Stale))));
        stop.cancel();
        let tries = Cell::new(0);
        let stopped = until_settled("test", &stop, || {
            tries.set(tries.get() + 1);
            async {
                Err::<(), _>(HubError::BreakerOpen {
                    retry_in: Duration::from_secs(600),
                })
            }
        })
        .await;
        assert!(matches!(stopped, Err(Unsettled::Stopped)));
        assert_eq!(tries.get(), 1);
    }
}
