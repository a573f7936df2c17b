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

use std::{collections::BTreeMap, fmt, sync::Arc};

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

    /// Clients of all hubs that are connected here, by transport; transports
    /// that nobody uses are left out.
    #[must_use]
    pub fn connections_by_transport(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for hub in self.hubs.read().iter() {
            for (transport, open) in hub.open_by_transport().filter(|(_, open)| *open > 0) {
                *sums.entry(transport.to_owned()).or_default() += open;
            }
        }
        sums
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::Denied, queue::QueueFigures, store::QueueStats};

    const RULES: &str = include_str!("../../../../deploy/prometheus/alerts.yml");
    const RULE_TESTS: &str = include_str!("../../../../deploy/prometheus/alerts.test.yml");
    const DASHBOARD: &str = include_str!("../../../../deploy/grafana/tendril.json");
    const DOCUMENT: &str = include_str!("../../../../docs/METRICS.md");

    /// Everything that a hub with all its parts may tell.
    fn text() -> String {
        let metrics = Metrics::default();
        let _hub = metrics.hub("plantanalysis", &["Ping"]);
        let health = http::StatusCode::OK;
        let took = std::time::Duration::ZERO;
        metrics
            .requests()
            .answered(&http::Method::GET, "/health", health, took);
        metrics.text(Standing {
            jobs: Some(QueueStats::default()),
            redis: Some((true, signalr_redis::LinkStats::default())),
            backplane: Some(signalr::BackplaneStats::default()),
            broker: Some(QueueFigures::default()),
            denied: vec![(Denied::Rate, 1)],
            slow_clients: vec![("plantanalysis", 1)],
            switches: vec![("enable_signalr", 1.0)],
            ..Standing::default()
        })
    }

    fn is_told(text: &str, name: &str) -> bool {
        let families = ["", "_total", "_bucket", "_sum", "_count"]
            .into_iter()
            .filter_map(|suffix| name.strip_suffix(suffix));
        families
            .into_iter()
            .any(|family| text.contains(&format!("# TYPE {family} ")))
    }

    /// What looks like a metric of ours; those of workers are the worker's to check.
    fn named(document: &str) -> impl Iterator<Item = &str> {
        document
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| {
                let ours = ["tendril_", "process_", "signalr_server_"];
                ours.iter().any(|prefix| word.starts_with(prefix))
                    && !word.starts_with("tendril_worker_")
            })
    }

    #[test]
    fn whatever_rules_dashboard_and_document_name_is_told() {
        let text = text();
        for document in [RULES, RULE_TESTS, DASHBOARD, DOCUMENT] {
            assert!(named(document).count() > 20);
            for name in named(document) {
                assert!(is_told(&text, name), "{name} is no metric");
            }
        }
    }

    #[test]
    fn whatever_is_told_is_in_the_document() {
        let text = text();
        let families = text.lines().filter_map(|line| {
            let (name, _) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            Some(name)
        });
        for family in families {
            assert!(
                DOCUMENT.contains(family),
                "{family} is not in docs/METRICS.md"
            );
        }
    }

    #[test]
    fn every_rule_is_tested() {
        for line in RULES.lines().filter(|line| line.contains("- alert: ")) {
            let name = line.split(": ").nth(1).unwrap_or_default();
            assert!(
                RULE_TESTS.contains(&format!("name: {name} fires")),
                "{name}"
            );
        }
    }
}
