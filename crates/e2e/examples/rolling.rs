//! A rolling restart of two hubs under load, from the command line.
//!
//!     make rolling
//!     cargo run -p e2e --example rolling -- --clients 2000 --rate 200

use std::{io::Write as _, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use e2e::{
    binaries,
    faults::rolling::{self, RollingPlan},
};

const USAGE: &str = "usage: rolling [--clients N] [--rate N] [--notifications N]";

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let mut plan = RollingPlan {
        clients: 2_000,
        rate: 200,
        notifications: 12_000,
        folder: binaries::target_folder().join("faults/rolling"),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().context(USAGE)?;
        match name.as_str() {
            "--clients" => plan.clients = value.parse()?,
            "--rate" => plan.rate = value.parse()?,
            "--notifications" => plan.notifications = value.parse()?,
            _ => bail!(USAGE),
        }
    }
    let report = rolling::run(&plan).await?;
    writeln!(std::io::stdout(), "{report}")?;
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
