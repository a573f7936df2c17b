//! Measures hub-api and the floor side by side, in turns, with the same load;
//! writes a table with their ratios and adds a line to the history.
//!
//! ```text
//! make bench
//! cargo run --release -p load --example compare -- --turns 3 --only broadcast
//! ```
//!
//! Absolute figures vary with the machine and with what else it does; ratios
//! between servers that are measured in turns are what counts.

mod figures;
mod history;
mod runs;
mod servers;
mod table;

use std::{collections::BTreeMap, fs, io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::binaries::{target_folder, workspace_root};

use figures::{Figure, Measured};
use runs::RUNS;
use servers::Servers;

struct Settings {
    turns: usize,
    /// How long each run measures.
    seconds: u32,
    only: Option<String>,
    with_parts: bool,
    history: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let settings = settings()?;
    let mut figures: BTreeMap<&'static str, Measured> = BTreeMap::new();
    let mut servers = Servers::build()?;
    let mut missing = 0;
    for run in RUNS
        .iter()
        .filter(|run| settings.wants(run.name, run.needs_parts))
    {
        for turn in 1..=settings.turns {
            for server in run.servers {
                say(&format!(
                    "{} of {}, turn {turn} of {}",
                    run.name,
                    server.name(),
                    settings.turns
                ));
                let report = match servers.measure(*server, run, settings.seconds).await {
                    Ok(report) => report,
                    Err(error) => {
                        // The other figures are as good as without it.
                        say(&format!("NOT MEASURED: {error:#}"));
                        missing += 1;
                        continue;
                    }
                };
                for figure in run.figures {
                    let measured = figures
                        .entry(figure.name)
                        .or_insert_with(|| Measured::new(*figure));
                    measured.take(*server, &report);
                }
            }
        }
    }
    let in_order: Vec<Measured> = RUNS
        .iter()
        .flat_map(|run| run.figures)
        .filter_map(|figure: &Figure| figures.remove(figure.name))
        .collect();
    let table = table::table(&in_order);
    let folder = target_folder().join("bench");
    fs::create_dir_all(&folder)?;
    let path = folder.join("table.md");
    fs::write(&path, &table)?;
    print(&table)?;
    if settings.history {
        let path: PathBuf = workspace_root().join("docs/bench-history.jsonl");
        for worse in history::add(&path, &in_order)? {
            say(&format!("WORSE THAN BEFORE: {worse}"));
        }
    }
    say(&format!("the table is in {}", path.display()));
    ensure!(missing == 0, "{missing} runs failed");
    Ok(())
}

impl Settings {
    fn wants(&self, name: &str, needs_parts: bool) -> bool {
        let named = match &self.only {
            Some(only) => name.contains(only.as_str()),
            None => name != runs::CROWD && name != runs::CHURN,
        };
        named && (self.with_parts || !needs_parts)
    }
}

fn settings() -> Result<Settings> {
    let mut settings = Settings {
        turns: 3,
        seconds: 10,
        only: None,
        with_parts: false,
        history: true,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--turns" => {
                let turns = arguments.next().context("--turns takes a number")?;
                settings.turns = turns.parse().context("--turns takes a number")?;
            }
            "--seconds" => {
                let seconds = arguments.next().context("--seconds takes a number")?;
                settings.seconds = seconds.parse().context("--seconds takes a number")?;
            }
            "--only" => settings.only = Some(arguments.next().context("--only takes a name")?),
            "--with-parts" => settings.with_parts = true,
            "--no-history" => settings.history = false,
            _ => bail!(
                "usage: compare [--turns N] [--seconds N] [--only NAME] [--with-parts] [--no-history]"
            ),
        }
    }
    Ok(settings)
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "==> {line}");
}

fn print(text: &str) -> Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
