//! The hub's figures: counted where things happen, by an atomic addition each.
//!
//! One file a subject: connections of a hub (`hubs`), requests (`requests`),
//! notifications and attempts (`notifications`). What is known elsewhere
//! (the queue, the pool, Redis) is asked for when somebody reads the figures
//! (`standing`). No label holds an id; what clients make up has one label.

mod hubs;
mod requests;
mod notifications;
mod returning;
mod standing;

use std::{fmt, sync::Arc};

use parking_lot::RwLock;
use telemetry::{
    metrics::{Source, Writer, render},
    process::Process,
};

pub use hubs::HubFigures;
pub use notifications::{AttemptOutcome, NotificationFigures, NotificationOutcome};
pub(crate) use requests::{RequestFigures, UNMATCHED};
pub use standing::Standing;

/// All figures of this hub process. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    /// Client hubs, in the order in which they were made.
    hubs: Arc<RwLock<Vec<Arc<HubFigures>>>>,
    requests: Arc<RequestFigures>,
    notifications: Arc<NotificationFigures>,
    process: Arc<Process>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            hubs: Arc::default(),
            requests: Arc::new(RequestFigures::new()),
            notifications: Arc::default(),
            process: Arc::new(Process::new("hub-api", env!("CARGO_PKG_VERSION"))),
        }
    }
}

impl Metrics {
    /// The figures of one client hub, to be given to its builder as observer.
    /// `methods` are all that it has; calls of others are counted as `unknown`.
    #[must_use]
    pub fn hub(&self, name: &'static str, methods: &[&str]) -> Arc<HubFigures> {
        let figures = Arc::new(HubFigures::new(name, methods));
        self.hubs.write().push(Arc::clone(&figures));
        figures
    }

    /// The client hubs that there are.
    #[must_use]
    pub fn hubs(&self) -> Vec<Arc<HubFigures>> {
        self.hubs.read().clone()
    }

    pub(crate) fn requests(&self) -> &RequestFigures {
        &self.requests
    }

    /// Notifications and attempts.
    #[must_use]
    pub fn notifications(&self) -> &Arc<NotificationFigures> {
        &self.notifications
    }

    /// The text for Prometheus.
    #[must_use]
    pub fn text(&self, standing: Standing) -> String {
        let hubs = AllHubs(self.hubs());
        let sources: [Arc<dyn Source>; 5] = [
            self.process.clone(),
            Arc::new(hubs),
            self.notifications.clone(),
            self.requests.clone(),
            Arc::new(standing),
        ];
        render(&sources)
    }
}

/// Hubs share the names of their metrics, which are written once.
#[derive(Debug)]
struct AllHubs(Vec<Arc<HubFigures>>);

impl Source for AllHubs {
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        hubs::write(&self.0, writer)
    }
}
