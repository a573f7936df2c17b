//! The command line of the hub.

mod memory;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use hub_api::{
    auth,
    check::{self, Target},
    config::{Config, Sources},
    explain,
    lifecycle::{Shutdown, on_signals},
    serve::{Listeners, listen},
    store::{LoggedEntry, Store, StoreOptions},
};
use shared_dto::UserId;

/// What it is called in traces.
const SERVICE: telemetry::Service = telemetry::Service {
    name: "hub-api",
    version: env!("CARGO_PKG_VERSION"),
};

/// Tells people, the moment it is true, that their long-running job is done.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves; the same as no command.
    Serve,
    /// Prints what happened to one analysis, from upload to receipt.
    Explain {
        /// The owner.
        #[arg(long)]
        user: UserId,
        /// The analysis.
        #[arg(long)]
        analysis: i64,
    },
    /// Gives the notification log another epoch: after a backup was restored,
    /// before the hubs are started, so that clients that have seen more than
    /// the backup holds do not take their cursors for valid.
    RenewEpoch,
    /// Prints a token for a user. In Development only.
    Token {
        /// Whose token it is.
        #[arg(long)]
        user: UserId,
        /// A role of the user; may be given several times.
        #[arg(long = "role")]
        roles: Vec<String>,
        /// How long it is valid, in hours.
        #[arg(long = "expires", value_name = "HOURS", default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=8760))]
        hours: u64,
    },
    /// Prints every setting as it is in effect, where it comes from, and what
    /// is wrong; secrets are masked.
    Config,
    /// Looks at the settings and at what the hub needs, and with --url at a
    /// running hub; a table with what to do. The exit code is 0 when nothing failed.
    Check {
        /// The address of a running hub, as its clients use it.
        #[arg(long)]
        url: Option<String>,
        /// The address of its internal routes, where that is another one.
        #[arg(long)]
        internal_url: Option<String>,
        /// A user's token, where none can be made from Jwt__Secret.
        #[arg(long, env = "CHECK_TOKEN", hide_env_values = true)]
        token: Option<String>,
        /// The report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Asks the hub on this machine whether it works; the exit code tells.
    Healthcheck,
}

/// An idle connection takes a fifth less of it than of glibc's, and what
/// connections that have left took goes back to the system (docs/PERFORMANCE.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = runtime
        .context("cannot start the runtime")
        .and_then(|runtime| {
            let result = runtime.block_on(carry_out(arguments.command.unwrap_or(Command::Serve)));
            // A task that hangs in the system must not keep the process.
            runtime.shutdown_timeout(Duration::from_secs(5));
            result
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve => Box::pin(serve()).await,
        Command::Explain { user, analysis } => explain(&user, analysis).await,
        Command::RenewEpoch => renew_epoch().await,
        Command::Token { user, roles, hours } => {
            let lifetime = Duration::from_secs(hours * 60 * 60);
            print(&auth::mint(&Config::load()?, &user, &roles, lifetime)?)
        }
        Command::Config => show_config(),
        Command::Check {
            url,
            internal_url,
            token,
            json,
        } => {
            let target = Target {
                url,
                internal_url,
                token,
            };
            check(&target, json).await
        }
        Command::Healthcheck => healthcheck().await,
    }
}

async fn serve() -> anyhow::Result<()> {
    let config = Config::load()?;
    let telemetry = telemetry::start(SERVICE, &config.log).context("cannot start logging")?;
    let port = config.server.port;
    let public = listen(port).with_context(|| format!("cannot listen on port {port}"))?;
    let internal = match config.server.internal_port {
        Some(port) => Some(listen(port).with_context(|| format!("cannot listen on port {port}"))?),
        None => None,
    };
    let shutdown = Shutdown::new();
    let signals = tokio::spawn(on_signals(shutdown.clone()));
    let memory = tokio::spawn(memory::give_back());
    let result = hub_api::run(config, Listeners { public, internal }, shutdown).await;
    signals.abort();
    memory.abort();
    telemetry.end().await;
    Ok(result?)
}

async fn explain(user: &UserId, analysis: i64) -> anyhow::Result<()> {
    let config = Config::load()?;
    let options = StoreOptions::on(config.database_location()?);
    let store = Store::open_for_reading(options)
        .await
        .context("cannot open the database")?;
    let timeline = explain::explain(&store, user, analysis).await?;
    print(&timeline.to_string())
}

/// Nothing may be running on the database meanwhile: a hub goes on with the
/// epoch that it read when it started.
async fn renew_epoch() -> anyhow::Result<()> {
    let config = Config::load()?;
    let options = StoreOptions::on(config.database_location()?);
    let hook = Box::new(|entries: &[LoggedEntry]| vec![0; entries.len()]);
    let (store, _writer) = Store::open(options, hook)
        .await
        .context("cannot open the database")?;
    let epoch = store.renew_epoch().await?;
    store.close().await;
    print(&format!("the notification log's epoch is now {epoch}"))
}

fn show_config() -> anyhow::Result<()> {
    let (effective, wrong) = Config::effective(&Sources::of_process())?;
    print(&effective.to_string())?;
    wrong.map_or(Ok(()), |wrong| Err(wrong.into()))
}

async fn check(target: &Target, json: bool) -> anyhow::Result<()> {
    let report = check::check(&Sources::of_process(), target).await;
    if json {
        print(&format!("{:#}", report.to_json()))?;
    } else {
        print(&report.to_string())?;
    }
    if !report.may_go_on() {
        bail!("the check failed");
    }
    Ok(())
}

async fn healthcheck() -> anyhow::Result<()> {
    let port = Config::load()?.server.port;
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(3))
        .build()?;
    let answer = client
        .get(format!("http://127.0.0.1:{port}/health"))
        .send()
        .await?;
    let (status, body) = (answer.status(), answer.text().await?);
    print(&body)?;
    if !status.is_success() {
        bail!("the hub answers {status}");
    }
    Ok(())
}

fn print(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{}", text.trim_end()).context("cannot write to standard output")
}
