//! `/hubs/admin`: the hub's own figures for operators, once a second.
//!
//! It sends totals and never events, so that what it costs does not grow with
//! the traffic: lines of the text that Prometheus reads, to whoever watches;
//! and less often who works on what, with the last setbacks (`work`), and how
//! many clients each of several hubs has. While nobody watches, nothing is put
//! together.

mod work;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use signalr::{
    Authorization, BuildError, Context, DisconnectReason, Hub, HubError, HubServer, TokenKey,
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{auth::ADMIN, config::SignalRConfig, http::AppState, workers::Workers};

/// Where the hub is mounted.
pub const PATH: &str = "/hubs/admin";

/// The event that carries the figures.
const FIGURES: &str = "ReceiveFigures";

/// What the operators' page draws. Everything is at `/metrics`.
const SHOWN: &[&str] = &[
    "tendril_database_up",
    "tendril_denied_total",
    "tendril_job_attempts_total",
    "tendril_job_oldest_ready_seconds",
    "tendril_jobs",
    "tendril_notification_delivery_seconds_bucket",
    "tendril_notifications_total",
    "tendril_signalr_connections",
    "tendril_signalr_connections_closed_total",
    "tendril_signalr_connections_peak",
    "tendril_signalr_messages_total",
    "tendril_signalr_reconnects_total",
    "tendril_signalr_slow_clients",
];

const EVERY: Duration = Duration::from_secs(1);

/// The event that carries [`work::Work`].
const WORK: &str = "ReceiveWork";

/// The event that carries [`crate::nodes::AllTotals`], of hubs that share a Redis.
const NODES: &str = "ReceiveNodes";

/// Figures are sent so often for each time that work is.
const FIGURES_A_WORK: u32 = 3;

/// The hub: it has no methods, only listeners.
#[derive(Debug, Default)]
struct OperationsHub {
    watching: Arc<AtomicUsize>,
}

/// What operators use: their hub, and the hub of clients that they look at.
#[derive(Debug, Clone)]
pub struct Operations {
    /// To be mounted at [`PATH`].
    pub server: HubServer,
    /// The hub of clients.
    pub clients: HubServer,
    watching: Arc<AtomicUsize>,
    pub(crate) workers: Arc<Workers>,
}

/// Makes the hub ready to be mounted at [`PATH`].
///
/// # Errors
/// [`BuildError`] for limits that make no sense.
pub fn build(
    settings: &SignalRConfig,
    token_key: TokenKey,
    clients: HubServer,
) -> Result<Operations, BuildError> {
    let hub = OperationsHub::default();
    let watching = Arc::clone(&hub.watching);
    let server = HubServer::builder(hub)
        .options(super::options(settings, token_key))
        .authorize(Authorization::Role(ADMIN.into()))
        .build()?;
    Ok(Operations {
        server,
        clients,
        watching,
        workers: Arc::default(),
    })
}

impl Hub for OperationsHub {
    async fn on_connected(&self, _: &Context) -> Result<(), HubError> {
        self.watching.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn on_disconnected(&self, _: &Context, _: &DisconnectReason) {
        self.watching.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Operations {
    /// Tells the figures to everyone who watches, until `stop`.
    ///
    /// # Errors
    /// None: it ends by `stop` only.
    pub async fn tell(self, state: AppState, stop: CancellationToken) -> Result<(), Infallible> {
        let mut tick = interval(EVERY);
        // After a pause one message says as much as all that were left out.
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let all = self.server.context().all();
        let nodes = state.delivery.nodes();
        nodes.counted_in(&state.metrics);
        let mut until_work = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick() => {}
            }
            if self.watching.load(Ordering::Relaxed) == 0 {
                until_work = 0;
                continue;
            }
            let text = shown(&state.scrape.text(&state).await);
            all.send(FIGURES, (text,)).await;
            if until_work > 0 {
                until_work -= 1;
                continue;
            }
            // Whoever does not answer is waited for once, not one after the other.
            let work = work::now(&state.store, &self.workers);
            let (work, totals) = tokio::join!(work, nodes.totals());
            if let Some(totals) = totals {
                all.send(NODES, (totals,)).await;
            }
            // Health says that the database is away.
            if let Some(work) = work {
                all.send(WORK, (work,)).await;
            }
            until_work = FIGURES_A_WORK - 1;
        }
    }
}

/// The lines that are drawn. Most counters are 0, and absence says the same;
/// of a histogram each bucket is needed to see between which two a value is.
fn shown(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let value = line.rsplit(' ').next().and_then(|value| value.parse().ok());
        let says_something = value != Some(0.0) || name.ends_with("_bucket");
        if SHOWN.contains(&name) && says_something {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_sent_unless_it_is_nothing() {
        let text = "# TYPE tendril_jobs gauge\n\
            tendril_jobs{state=\"ready\"} 3.0\n\
            tendril_jobs{state=\"parked\"} 0.0\n\
            tendril_notification_delivery_seconds_bucket{le=\"0.1\"} 0\n\
            tendril_notification_delivery_seconds_sum 1.5\n\
            tendril_denied_total{reason=\"origin\"} 0\n\
            tendril_signalr_connections_peak{hub=\"plantanalysis\"} 7.0\n\
            # EOF\n";
        let expected = "tendril_jobs{state=\"ready\"} 3.0\n\
            tendril_notification_delivery_seconds_bucket{le=\"0.1\"} 0\n\
            tendril_signalr_connections_peak{hub=\"plantanalysis\"} 7.0\n";
        assert_eq!(shown(text), expected);
    }
}
