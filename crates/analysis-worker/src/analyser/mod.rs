//! The analysers, and which one makes an attempt.
//!
//! An analyser turns a job into an [`Outcome`] and tells progress on the way.
//! It never talks to the hub about the outcome, and never retries.

mod builtin;
mod n8n;

use std::sync::Arc;

use shared_dto::jobs::LeasedJob;

use crate::{
    attempt::{Outcome, ProgressSender},
    config::Config,
    hub::Hub,
    photo::Photos,
};

use self::builtin::Builtin;
use self::n8n::N8n;

pub use self::n8n::ClientError;

/// The analyser that this worker was set up with.
#[derive(Debug)]
pub(crate) struct Analyser {
    photos: Photos,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Builtin(Builtin),
    N8n(Box<N8n>),
}

impl Analyser {
    pub(crate) fn new(config: &Config, hub: &Arc<Hub>) -> Result<Self, ClientError> {
        let kind = match &config.n8n.webhook_url {
            Some(webhook) => Kind::N8n(Box::new(N8n::new(
                webhook,
                &config.n8n,
                Arc::clone(hub.figures()),
            )?)),
            None => Kind::Builtin(Builtin::new(
                Arc::clone(hub),
                config.worker.analysis_timeout,
            )),
        };
        Ok(Self {
            photos: Photos::new(Arc::clone(hub), config.photo.fetch_timeout),
            kind,
        })
    }

    /// Its name, for logs and health.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Builtin(_) => "builtin",
            Kind::N8n(_) => "n8n",
        }
    }

    /// Makes one attempt.
    pub(crate) async fn analyse(&self, job: &LeasedJob, progress: &ProgressSender) -> Outcome {
        // An answer that was posted is an answer, whatever this worker is set up with.
        if let Some(reply) = &job.reply {
            return n8n::outcome_of_reply(job, &reply.body);
        }
        progress.tell(1, "fetching", "Fetching the photo");
        let photo = match self.photos.of(job).await {
            Ok(photo) => photo,
            Err(outcome) => return outcome,
        };
        match &self.kind {
            Kind::Builtin(builtin) => builtin.analyse(job, photo, progress).await,
            Kind::N8n(n8n) => n8n.analyse(job, photo, progress).await,
        }
    }
}
