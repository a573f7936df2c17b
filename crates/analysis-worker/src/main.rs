//! The worker's command line: settings, logs, signals, exit code.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use analysis_worker::{
    config::{Config, Sources},
    shutdown::Shutdown,
};
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

/// What it is called in traces.
const SERVICE: telemetry::Service = telemetry::Service {
    name: "analysis-worker",
    version: env!("CARGO_PKG_VERSION"),
};

/// Takes analysis jobs from a Tendril hub and reports their results.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until SIGTERM (the default).
    Serve,
    /// Print every setting as it is in effect, where it comes from, and what is
    /// wrong; secrets are masked.
    Config,
    /// Look at the settings, the hub, the broker and n8n; a table with what to
    /// do. The exit code is 0 when nothing failed.
    Check {
        /// The address of a running worker, to look at as well.
        #[arg(long)]
        url: Option<String>,
        /// The report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ask a running worker on this machine whether it is ready; exit code 0 when it is.
    Healthcheck,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => run(serve),
        Command::Config => show_config(),
        Command::Check { url, json } => check(url.as_deref(), json),
        Command::Healthcheck => run(healthcheck),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("analysis-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn show_config() -> anyhow::Result<ExitCode> {
    let (effective, wrong) = Config::effective(&Sources::of_process())?;
    write!(io::stdout(), "{effective}").context("cannot write to standard output")?;
    wrong.map_or(Ok(ExitCode::SUCCESS), |wrong| Err(wrong.into()))
}

fn check(url: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let sources = Sources::of_process();
    let report = runtime()?.block_on(analysis_worker::check::check(&sources, url));
    let text = if json {
        format!("{:#}", report.to_json())
    } else {
        report.to_string()
    };
    writeln!(io::stdout(), "{text}").context("cannot write to standard output")?;
    Ok(if report.may_go_on() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs `work` and leaves when it is done, whatever threads still compute.
fn run<F: Future<Output = anyhow::Result<ExitCode>>>(
    work: impl FnOnce(Config) -> F,
) -> anyhow::Result<ExitCode> {
    let config = Config::load()?;
    let runtime = runtime()?;
    let done = runtime.block_on(work(config));
    runtime.shutdown_background();
    done
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("worker")
        .build()
        .context("cannot start the runtime")
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let telemetry = telemetry::start(SERVICE, &config.log).context("cannot start logging")?;
    let ended = serve_logging(config).await;
    telemetry.end().await;
    ended
}

async fn serve_logging(config: Config) -> anyhow::Result<ExitCode> {
    let listener = listen(config.server.port).await?;
    let shutdown = Shutdown::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let served = analysis_worker::run(config, listener, shutdown.clone());
    tokio::pin!(served);
    tokio::select! {
        done = &mut served => return finish(done),
        () = either(&mut terminate, &mut interrupt) => shutdown.soft.cancel(),
    }
    tokio::select! {
        done = &mut served => finish(done),
        () = either(&mut terminate, &mut interrupt) => {
            tracing::warn!("second signal: leaving at once; leases of jobs under way expire");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn finish(done: Result<(), analysis_worker::RunError>) -> anyhow::Result<ExitCode> {
    done?;
    tracing::info!("left");
    Ok(ExitCode::SUCCESS)
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM"),
        _ = interrupt.recv() => tracing::info!("SIGINT"),
    }
}

/// IPv6 and IPv4 alike; IPv4 alone where the machine has no IPv6.
async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let listener = match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await
        }
        listener => listener,
    };
    let listener = listener.with_context(|| format!("cannot listen on port {port} (PORT)"))?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "health is served");
    }
    Ok(listener)
}

async fn healthcheck(config: Config) -> anyhow::Result<ExitCode> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(3))
        .build()
        .context("cannot make an HTTP client")?;
    let url = format!("http://localhost:{}/health/ready", config.server.port);
    let answer = client
        .get(url)
        .send()
        .await
        .context("no worker answers on this machine")?;
    Ok(if answer.status().is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
