//! The built-in analyser: runs the screening off the async threads, on as many
//! cores as there are, and puts its overlay picture at the hub.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use shared_dto::jobs::LeasedJob;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    attempt::{Failure, Outcome, ProgressSender},
    hub::{Hub, HubError, Unsettled, until_settled},
    screening::{self, Overlay, ScreenError, Screening},
};

/// Runs screenings.
#[derive(Debug)]
pub(super) struct Builtin {
    hub: Arc<Hub>,
    timeout: Duration,
    cores: Arc<Semaphore>,
}

impl Builtin {
    pub(super) fn new(hub: Arc<Hub>, timeout: Duration) -> Self {
        Self {
            hub,
            timeout,
            cores: Arc::new(Semaphore::new(crate::cores())),
        }
    }

    pub(super) async fn analyse(
        &self,
        job: &LeasedJob,
        photo: Bytes,
        progress: &ProgressSender,
    ) -> Outcome {
        let Screening {
            mut result,
            overlay,
            ..
        } = match self.screen(photo, progress).await {
            Ok(screening) => screening,
            Err(outcome) => return outcome,
        };
        if let Err(outcome) = self.keep(job, overlay).await {
            return outcome;
        }
        result.crop_type.clone_from(&job.crop_type);
        Outcome::Done(Box::new(result))
    }

    async fn screen(&self, photo: Bytes, progress: &ProgressSender) -> Result<Screening, Outcome> {
        let core = Arc::clone(&self.cores).acquire_owned().await;
        let told = progress.clone();
        let screening = tokio::task::spawn_blocking(move || {
            // The core is taken until the thread is done, also when nobody waits for it.
            let _core = core;
            let mut tell =
                |stage: screening::Stage| told.tell(stage.percent(), stage.name(), stage.message());
            screening::screen(&photo, &mut tell)
        });
        match tokio::time::timeout(self.timeout, screening).await {
            Ok(Ok(Ok(screening))) => Ok(screening),
            Ok(Ok(Err(error))) => Err(refusal(error)),
            Ok(Err(error)) => {
                tracing::error!(%error, "the screening panicked");
                Err(Outcome::retry("the screening panicked"))
            }
            Err(_) => {
                let error = format!("the screening took longer than {:?}", self.timeout);
                Err(Outcome::Retry(
                    Failure::new(error, "The photo took too long to analyse."),
                    None,
                ))
            }
        }
    }

    /// The overlay is part of the result: it is at the hub before the result is.
    async fn keep(&self, job: &LeasedJob, overlay: Overlay) -> Result<(), Outcome> {
        let (never, bytes) = (CancellationToken::new(), Bytes::from(overlay.bytes));
        let put = || self.hub.put_overlay(job, overlay.media_type, bytes.clone());
        match until_settled("keeping the overlay", &never, put).await {
            Ok(()) => Ok(()),
            Err(Unsettled::Final(HubError::Stale)) => Err(Outcome::Lost),
            Err(Unsettled::Final(error)) => {
                // A result without its picture is worth more than none.
                tracing::error!(%error, "the hub refuses the overlay");
                Ok(())
            }
            Err(Unsettled::Stopped) => Err(Outcome::retry("stopped while keeping the overlay")),
        }
    }
}

/// The same photo is refused for the same reason every time.
fn refusal(error: ScreenError) -> Outcome {
    let message = error.to_string();
    Outcome::reject(format!("{error:?}"), message)
}
