//! The fault suite from the command line.
//!
//!     make faults
//!     cargo run -p e2e --example faults -- --seed 7 --set production
//!
//! It prints the seed first: the same seed gives the same faults. The ledger
//! and the logs stay in `target/faults/`.

use std::{io::Write as _, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use e2e::{
    Set, binaries,
    faults::{self, Plan},
};

const USAGE: &str = "usage: faults [--seed N] [--set embedded|production|both] [--analyses N] \
    [--built-in N] [--notifications N] [--rate N] [--users N]";

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let (sets, plan) = arguments()?;
    let mut out = std::io::stdout();
    let mut good = true;
    for set in sets {
        let folder = plan.folder.join(format!("{}-{}", set.name(), plan.seed));
        let plan = Plan {
            set,
            folder: folder.clone(),
            ..plan.clone()
        };
        writeln!(
            out,
            "Faults on the {} parts, --seed {}",
            set.name(),
            plan.seed
        )?;
        let report = faults::run(&plan).await?;
        writeln!(out, "\n{report}")?;
        std::fs::write(folder.join("report.md"), report.to_string())?;
        if !report.is_good() {
            writeln!(out, "Ledger and logs: {}", folder.display())?;
            good = false;
        }
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn arguments() -> Result<(Vec<Set>, Plan)> {
    let mut sets = vec![Set::Embedded, Set::Production];
    let mut plan = Plan {
        seed: rand::random::<u32>().into(),
        set: Set::Embedded,
        analyses: 9_800,
        built_in: 200,
        notifications: 10_000,
        rate: 20,
        users: 50,
        folder: binaries::target_folder().join("faults"),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().context(USAGE)?;
        match name.as_str() {
            "--set" => {
                sets = match value.as_str() {
                    "embedded" => vec![Set::Embedded],
                    "production" => vec![Set::Production],
                    "both" => sets,
                    _ => bail!(USAGE),
                }
            }
            "--seed" => plan.seed = value.parse()?,
            "--analyses" => plan.analyses = value.parse()?,
            "--built-in" => plan.built_in = value.parse()?,
            "--notifications" => plan.notifications = value.parse()?,
            "--rate" => plan.rate = value.parse()?,
            "--users" => plan.users = value.parse()?,
            _ => bail!(USAGE),
        }
    }
    Ok((sets, plan))
}
