//! Tendril's worker: takes jobs from the hub, runs the analysis, and tells the
//! hub what came of it until the hub has it.
//!
//! Owns attempts: their slots, their leases' heartbeats, the analysers, and the
//! reporting back. Never touches the database, and never decides whether a job
//! is tried again: the hub does.

pub mod config;
pub mod check;
pub mod shutdown;
mod backoff;
mod body;
mod hub;
mod source;
mod intake;
mod attempt;
mod analyser;
mod photo;
pub mod screening;
mod metrics;
mod health;
mod serve;

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;
use telemetry::process::Process;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use crate::analyser::ClientError;
pub use crate::hub::LinkError;

use crate::{
    analyser::Analyser,
    attempt::Attempts,
    config::Config,
    health::{Health, Vitals},
    hub::Hub,
    shutdown::Shutdown,
    source::{JobSource, LeaseSource, RabbitMq},
};

/// What the worker calls itself towards others.
const USER_AGENT: &str = concat!("tendril-analysis-worker/", env!("CARGO_PKG_VERSION"));

/// Slots when n8n does the work and nobody set another number.
const N8N_SLOTS: usize = 16;

/// After the hard shutdown, attempts may take this long to hand their jobs back.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a worker could not run, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The link to the hub cannot be made.
    #[error("cannot talk to the hub")]
    Link(#[from] LinkError),
    /// The n8n analyser cannot be made.
    #[error("cannot talk to n8n")]
    N8n(#[from] ClientError),
    /// The broker's settings cannot be used.
    #[error("cannot use the broker")]
    Broker(#[from] broker::SetupError),
    /// The broker's queues are others than the worker needs.
    #[error("cannot use the broker's queues")]
    Queues(#[from] broker::Conflict),
    /// A task that the worker cannot be without has ended.
    #[error("the {0} ended by itself")]
    VitalTask(&'static str),
}

/// Runs a worker until `shutdown`; health is served on `listener`.
///
/// # Errors
/// [`RunError`] when it cannot start, or when a vital task ended.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), RunError> {
    announce(&config);
    let hub = Arc::new(Hub::new(&config.hub)?);
    let analyser = Arc::new(Analyser::new(&config, &hub)?);
    let slots = slots(&config);
    let (vitals, tasks) = (Arc::new(Vitals::new()), TaskTracker::new());
    tracing::info!(analyser = analyser.name(), slots, "taking jobs");
    // Cancelled when nothing is left to settle with the broker.
    let settled = CancellationToken::new();
    let _settled_at_last = settled.clone().drop_guard();
    let (source, broker) = source(&config, &hub, slots, &shutdown, &settled)?;

    let health = Health {
        hub: Arc::clone(&hub),
        vitals: Arc::clone(&vitals),
        attempts: tasks.clone(),
        slots,
        analyser: analyser.name(),
        leaving: shutdown.soft.clone(),
        broker: broker.as_ref().map(RabbitMq::state),
        longest_poll: config.worker.poll + config.hub.timeout * 2,
        process: Arc::new(Process::new("analysis-worker", env!("CARGO_PKG_VERSION"))),
    };
    let stop_serving = CancellationToken::new();
    let _stop_serving_at_last = stop_serving.clone().drop_guard();
    let mut server = tokio::spawn(serve::serve(
        listener,
        health::router(health),
        stop_serving.clone(),
    ));

    let mut connection = tokio::spawn(connect(broker));
    let attempts = Arc::new(Attempts {
        figures: Arc::clone(hub.figures()),
        hub,
        analyser,
        hard: shutdown.hard.clone(),
    });
    let mut intake = tokio::spawn(intake::run(
        source,
        attempts,
        Arc::new(Semaphore::new(slots)),
        tasks.clone(),
        vitals,
        shutdown.clone(),
    ));
    let broken = watch(&mut intake, &mut server, &mut connection, &shutdown).await;
    drain(&tasks, config.worker.grace, &shutdown).await;
    settled.cancel();
    if config.rabbitmq.url.is_some() {
        say_goodbye(&mut connection).await;
    }
    connection.abort();
    broken.map_or(Ok(()), Err)
}

/// Where jobs come from, and what keeps the broker connected where there is one.
fn source(
    config: &Config,
    hub: &Arc<Hub>,
    slots: usize,
    shutdown: &Shutdown,
    settled: &CancellationToken,
) -> Result<(JobSource, Option<RabbitMq>), RunError> {
    let (id, poll) = (worker_id(), config.worker.poll);
    let Some(broker) = config.rabbitmq.broker()? else {
        let source = LeaseSource::new(Arc::clone(hub), id, poll);
        return Ok((JobSource::Lease(source), None));
    };
    tracing::info!(broker = %broker.address(), "jobs come by the broker");
    let (task, source) = RabbitMq::new(broker, hub, (id, slots, poll), shutdown, settled.clone());
    Ok((JobSource::RabbitMq(source), Some(task)))
}

/// Keeps the broker connected, where there is one.
async fn connect(broker: Option<RabbitMq>) -> Result<(), broker::Conflict> {
    match broker {
        Some(broker) => broker.run().await,
        None => std::future::pending().await,
    }
}

/// Waits for the soft shutdown, or starts it when a vital task ends by itself.
async fn watch(
    intake: &mut JoinHandle<()>,
    server: &mut JoinHandle<()>,
    connection: &mut JoinHandle<Result<(), broker::Conflict>>,
    shutdown: &Shutdown,
) -> Option<RunError> {
    let ended = tokio::select! {
        () = shutdown.soft.cancelled() => return None,
        _ = &mut *intake => RunError::VitalTask("lease loop"),
        _ = server => RunError::VitalTask("health server"),
        ended = connection => match ended {
            Ok(Err(conflict)) => conflict.into(),
            _ => RunError::VitalTask("broker connection"),
        },
    };
    if shutdown.soft.is_cancelled() {
        // It ended because of the shutdown, at the same moment.
        return None;
    }
    tracing::error!(task = %ended, "a vital task ended by itself; leaving");
    shutdown.soft.cancel();
    Some(ended)
}

/// Lets the attempts end within the grace, then makes them hand their jobs back.
async fn drain(tasks: &TaskTracker, grace: Duration, shutdown: &Shutdown) {
    tasks.close();
    tracing::info!(
        under_way = tasks.len(),
        ?grace,
        "leaving: no more jobs are taken"
    );
    tokio::select! {
        () = tasks.wait() => return,
        () = tokio::time::sleep(grace) => {}
        () = shutdown.hard.cancelled() => {}
    }
    tracing::info!(under_way = tasks.len(), "handing jobs back");
    shutdown.hard.cancel();
    if tokio::time::timeout(FAREWELL, tasks.wait()).await.is_err() {
        tracing::warn!(
            under_way = tasks.len(),
            "left with jobs under way; their leases expire"
        );
    }
}

/// Lets the broker's connection end, so that the last settlements are on their way.
async fn say_goodbye(connection: &mut JoinHandle<Result<(), broker::Conflict>>) {
    if !connection.is_finished() {
        let _ = tokio::time::timeout(FAREWELL, connection).await;
    }
}

/// The lines that operators look for after a deploy.
fn announce(config: &Config) {
    tracing::info!(
        "[WORKER] analysis-worker starting in {} environment",
        config.environment
    );
    if let Some(secret) = &config.hub.secret {
        let length = secret.expose_secret().chars().count();
        tracing::info!("Internal secret loaded - Length: {length}");
    }
    if let Some(url) = &config.hub.base_url {
        tracing::info!("WebAPI URL loaded: {url}");
    }
    if let Some(url) = &config.n8n.webhook_url {
        tracing::info!("n8n webhook loaded: {url}");
    }
}

fn slots(config: &Config) -> usize {
    match (config.worker.concurrency, &config.n8n.webhook_url) {
        (0, None) => cores(),
        (0, Some(_)) => N8N_SLOTS,
        (given, _) => given as usize,
    }
}

/// Photos that are analysed at the same time.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Names this process; another one at its next start.
fn worker_id() -> String {
    format!("worker-{:016x}", rand::random::<u64>())
}
