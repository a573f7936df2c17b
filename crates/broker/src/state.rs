//! How a link is, for health: written by its session, read by whoever asks.

use std::time::Instant;

use parking_lot::Mutex;

use crate::error::LinkError;

/// The state of one link. Shared by reference.
#[derive(Debug, Default)]
pub struct LinkState(Mutex<LinkReport>);

/// What is known of a link.
#[derive(Debug, Clone, Default)]
pub struct LinkReport {
    /// Since when the session works: the connection stands, the queues are
    /// declared, and the consumer, where there is one, is registered.
    pub working_since: Option<Instant>,
    /// Sessions that broke.
    pub broken: u64,
    /// Why the last one broke; kept while the next one works.
    pub last_error: Option<String>,
    /// The same without the broker's words, for those who may not read them.
    pub last_error_kind: Option<&'static str>,
    /// Messages in the queue when it was last asked for.
    pub depth: Option<u32>,
    /// Settled deliveries that the broker did not hear of: they came again.
    pub lost_acknowledgements: u64,
}

impl LinkState {
    /// What is known now.
    #[must_use]
    pub fn report(&self) -> LinkReport {
        self.0.lock().clone()
    }

    /// Whether the session works.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.0.lock().working_since.is_some()
    }

    /// The session works from now on.
    pub fn works(&self) {
        self.0.lock().working_since = Some(Instant::now());
    }

    /// It does not, though nothing broke: it is leaving.
    pub fn rests(&self) {
        self.0.lock().working_since = None;
    }

    /// The broker did not hear that a delivery was settled.
    pub fn lost_acknowledgement(&self) {
        self.0.lock().lost_acknowledgements += 1;
    }

    pub(crate) fn broke(&self, error: &LinkError) {
        let mut report = self.0.lock();
        report.working_since = None;
        report.broken += 1;
        report.last_error = Some(error.to_string());
        report.last_error_kind = Some(error.kind());
    }

    pub(crate) fn has_depth(&self, depth: u32) {
        self.0.lock().depth = Some(depth);
    }
}
