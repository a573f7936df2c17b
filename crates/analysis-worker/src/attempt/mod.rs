//! One attempt at one job: analyse, keep the lease alive meanwhile, report.
//!
//! Owns the decision what an attempt came to. A panic of an analyser, a lost
//! lease and the worker's leaving are outcomes like any other. Never retries
//! an analysis by itself: the hub counts attempts and schedules them.

mod outcome;
mod lease;
mod report;

use std::{future::Future, sync::Arc, time::Instant};

use shared_dto::jobs::LeasedJob;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument as _;

pub(crate) use self::lease::ProgressSender;
pub(crate) use self::outcome::{Failure, Outcome};

use self::lease::Lease;
use self::report::Held;
use crate::{analyser::Analyser, hub::Hub, metrics::Figures};

/// What every attempt needs.
#[derive(Debug)]
pub(crate) struct Attempts {
    pub(crate) hub: Arc<Hub>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) analyser: Arc<Analyser>,
    /// The worker's grace is over.
    pub(crate) hard: CancellationToken,
}

/// Makes one attempt at `job` and reports its outcome. True when nothing is
/// left to do here: the hub has the outcome, or the job is another's.
pub(crate) async fn run(attempts: &Attempts, job: &LeasedJob) -> bool {
    tracing::info!(reply = job.reply.is_some(), "attempt begins");
    let began = Instant::now();
    let lease = Lease::keep(Arc::clone(&attempts.hub), job);
    let analyser = Arc::clone(&attempts.analyser);
    let (analysed, progress) = (job.clone(), lease.progress());
    let analysis = async move { analyser.analyse(&analysed, &progress).await };
    let outcome = tokio::select! {
        outcome = guarded(analysis) => outcome,
        () = lease.lost().cancelled() => Outcome::Lost,
        () = attempts.hard.cancelled() => Outcome::HandBack,
    };
    attempts.figures.attempted(&outcome, began.elapsed());
    lease.end_progress().await;
    if let Outcome::Park(_) = outcome {
        lease.end_beats();
    }
    let held = Held {
        hub: &attempts.hub,
        job,
        progress: lease.latest_progress(),
    };
    report::report(&held, outcome, lease.lost(), &attempts.hard).await
}

/// Runs an analysis such that its panic ends nothing but itself. Dropping the
/// future ends the analysis.
async fn guarded(analysis: impl Future<Output = Outcome> + Send + 'static) -> Outcome {
    let task = tokio::spawn(analysis.in_current_span());
    AbortOnDropHandle::new(task).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the analyser panicked");
        Outcome::retry("the analyser panicked")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_failed_attempt_with_words_for_the_user() {
        let outcome = guarded(async { panic!("out of ideas") }).await;
        let Outcome::Retry(failure, None) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(failure.user_message, outcome::TRY_AGAIN);
    }
}
