//! What is done: one file a scenario.

mod idle;
mod echo;
mod deliver;
mod churn;
mod storm;
mod slow;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::time::sleep;

use crate::{
    arguments::{Common, Posting, Scenario},
    crowd::{Crowd, Opening, Outcome},
    listener::listen,
    measure::{Meter, Moment},
    posts::{Kind, Posts},
    probe::Probe,
    process::{self, ProcessError},
    progress::Progress,
    report::Report,
    run::{Run, get},
    server::Server,
    target::{TargetError, Url},
    token::Tokens,
};

/// Connections that come and go before the server's memory is first read: what
/// is made once, with the first ones, is none of the others'.
const FIRST: u64 = 50;
/// What is still under way when all was sent is waited for as long as it comes.
const STILL: Duration = Duration::from_secs(2);

/// Why a run was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The server is not loaded.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The process given by `--pid` cannot be watched.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// This process may not have so many connections.
    #[error(
        "{wanted} connections take {needed} open files, and this process may have {limit}: lower --connections, or raise the limit (ulimit -n)"
    )]
    Descriptors {
        /// Connections asked for.
        wanted: u64,
        /// Descriptors for them.
        needed: u64,
        /// What is allowed.
        limit: usize,
    },
    /// The text of progress is short.
    #[error(
        "the text of progress has at most 500 bytes; accepted: --size 64 to 500 with --progress"
    )]
    Size,
    /// Nothing was opened.
    #[error("no connection was opened: {0}")]
    NothingOpened(String),
}

/// A run under way: what every scenario needs.
struct Stage {
    run: Arc<Run>,
    common: Common,
    meter: Meter,
    report: Report,
    _progress: Progress,
}

/// Carries a scenario out.
///
/// # Errors
/// [`RunError`] when it could not be; figures that are bad are no error.
pub async fn run(scenario: &Scenario) -> Result<Report, RunError> {
    let common = scenario.common();
    check_descriptors(scenario)?;
    let stage = |name| Stage::new(name, common, matches!(scenario, Scenario::Echo { .. }));
    let mut report = match scenario {
        Scenario::Idle(_) => idle::idle(stage("idle").await?).await?,
        Scenario::Echo {
            method,
            arguments,
            rate,
            in_flight,
            ..
        } => {
            let calls = echo::Calls {
                method: method.clone(),
                arguments: arguments.0.clone(),
                rate: *rate,
                in_flight: *in_flight as usize,
                clients: common.connections,
            };
            echo::echo(stage("echo").await?, calls).await?
        }
        Scenario::Notify {
            posting,
            progress,
            path,
            ..
        } => {
            if *progress && posting.size > 500 {
                return Err(RunError::Size);
            }
            let (name, kind) = match progress {
                true => ("notify, progress", Kind::Progress),
                false => ("notify, logged", Kind::Event),
            };
            let posts = posts(common, posting, kind, path).await?;
            deliver::deliver(stage(name).await?, posts).await?
        }
        Scenario::Broadcast { posting, path, .. } => {
            let posts = posts(common, posting, Kind::Broadcast, path).await?;
            deliver::deliver(stage("broadcast").await?, posts).await?
        }
        Scenario::Churn { rate, stay, .. } => {
            churn::churn(stage("churn").await?, *rate, *stay).await?
        }
        Scenario::Storm { rounds, spread, .. } => {
            storm::storm(stage("storm").await?, *rounds, *spread).await?
        }
        Scenario::Slow {
            posting,
            share,
            path,
            ..
        } => {
            let posts = posts(common, posting, Kind::Broadcast, path).await?;
            slow::slow(stage("slow readers").await?, posts, u64::from(*share)).await?
        }
    };
    report.judge(&common.fail_if);
    Ok(report)
}

fn check_descriptors(scenario: &Scenario) -> Result<(), RunError> {
    let wanted = scenario.common().connections;
    let needed = wanted + scenario.further_descriptors();
    match process::descriptor_limit() {
        Some(limit) if limit < needed as usize => Err(RunError::Descriptors {
            wanted,
            needed,
            limit,
        }),
        _ => Ok(()),
    }
}

async fn posts(
    common: &Common,
    posting: &Posting,
    kind: Kind,
    path: &str,
) -> Result<Posts, RunError> {
    let url = posting.post_to.as_ref().unwrap_or(&common.url).at(path);
    let probe = Probe {
        run: 0,
        stream: 0,
        number: 0,
        due: 0,
    };
    let padding = (posting.size as usize).saturating_sub(probe.text().len());
    Ok(Posts {
        address: url.resolve(common.allow_remote).await?,
        url,
        secret: posting.internal_secret.clone(),
        kind,
        event: posting.event.clone(),
        padding: "x".repeat(padding),
        rate: posting.rate,
        posters: u64::from(posting.posters),
    })
}

impl Stage {
    async fn new(name: &'static str, common: &Common, keeps_posts: bool) -> Result<Self, RunError> {
        let server = Server {
            address: common.url.resolve(common.allow_remote).await?,
            url: Url::clone(&common.url),
            transport: common.transport,
            protocol: common.protocol.of_hub(),
            negotiates: common.negotiate,
            keeps_posts,
            tokens: tokens(common),
            users: common.users(),
            first_user: common.first_user,
            opened: AtomicU64::new(0),
        };
        let run = Arc::new(Run::new(server, common.open_timeout));
        let meter = Meter::new(Arc::clone(&run), common.pid);
        // A process that cannot be watched is told of before anything is done.
        meter.memory()?;
        let progress = Progress::show(&run, common.connections, !common.quiet);
        Ok(Self {
            meter,
            report: Report::new(name, common),
            common: common.clone(),
            run,
            _progress: progress,
        })
    }

    fn opening(&self) -> Opening {
        Opening {
            clients: self.common.connections,
            rate: self.common.ramp,
            at_once: self.common.opening as usize,
        }
    }

    /// Lets a few connections come and go, and reads the server's memory.
    async fn memory_before(&self) -> Result<Option<u64>, RunError> {
        if !self.meter.watches_server() {
            return Ok(None);
        }
        let opening = Opening {
            clients: self.common.connections.min(FIRST),
            ..self.opening()
        };
        let first = Arc::new(Run::new(self.server_again(), self.common.open_timeout));
        let crowd = Crowd::open(&first, opening, listen).await;
        first.stop.cancel();
        crowd.outcomes().await;
        self.run
            .server
            .opened
            .fetch_add(opening.clients, std::sync::atomic::Ordering::Relaxed);
        sleep(self.common.settle).await;
        Ok(self.meter.memory()?)
    }

    fn server_again(&self) -> Server {
        let server = &self.run.server;
        Server {
            url: server.url.clone(),
            tokens: server.tokens.clone(),
            opened: AtomicU64::new(get(&server.opened)),
            address: server.address,
            transport: server.transport,
            protocol: server.protocol,
            negotiates: server.negotiates,
            keeps_posts: server.keeps_posts,
            users: server.users,
            first_user: server.first_user,
        }
    }

    /// Opens the connections with the part that listens, and notes what that took.
    async fn open_listeners(&mut self) -> Result<Crowd, RunError> {
        let before = self.memory_before().await?;
        let start = self.meter.moment()?;
        let crowd = Crowd::open(&self.run, self.opening(), listen).await;
        self.note_opening(&crowd, &start, before).await?;
        Ok(crowd)
    }

    async fn note_opening(
        &mut self,
        crowd: &Crowd,
        start: &Moment,
        before: Option<u64>,
    ) -> Result<(), RunError> {
        let mut span = self.meter.since(start)?;
        span.seconds = crowd.opening_time.as_secs_f64();
        self.report.take_opening(&span);
        if crowd.opened == 0 {
            let failures = self.run.failures();
            let why = failures.into_keys().next().unwrap_or_default();
            return Err(RunError::NothingOpened(why));
        }
        if before.is_some() {
            sleep(self.common.settle).await;
            let with = self.meter.memory()?;
            self.report.take_memory(before, with, crowd.opened);
        }
        Ok(())
    }

    /// Waits until no more comes, or all that is `expected` is there; gives
    /// the moment at which the last of it was.
    async fn wait_for(&self, expected: u64) -> Result<Moment, ProcessError> {
        let pause = Duration::from_millis(10);
        let mut last = self.meter.moment()?;
        let mut still = Duration::ZERO;
        while last.received < expected && still < STILL {
            sleep(pause).await;
            still += pause;
            if get(&self.run.counts.received) > last.received {
                last = self.meter.moment()?;
                still = Duration::ZERO;
            }
        }
        Ok(last)
    }

    /// Ends all clients and completes the report with what was counted.
    async fn end(mut self, crowd: Crowd) -> Result<(Report, Vec<Outcome>), RunError> {
        self.run.stop.cancel();
        let outcomes = crowd.outcomes().await;
        for outcome in &outcomes {
            self.report.received += outcome.tally.received;
            self.report.duplicates += outcome.tally.duplicates;
            self.report.out_of_order += outcome.tally.out_of_order;
        }
        self.report.take_counts(&self.run);
        if self.meter.watches_server() {
            sleep(self.common.settle).await;
            let after = self.meter.memory()?;
            if let Some(server) = &mut self.report.server {
                server.memory_after = after;
            }
        }
        Ok((self.report, outcomes))
    }
}

fn tokens(common: &Common) -> Tokens {
    match (&common.token, &common.secret) {
        (Some(token), _) => Tokens::Given(token.clone()),
        (None, Some(secret)) => Tokens::Signed {
            secret: secret.clone().into_bytes(),
            claims: common.claims.clone(),
        },
        (None, None) => Tokens::None,
    }
}
