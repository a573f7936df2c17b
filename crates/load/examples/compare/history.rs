//! The history file: a line a measurement, so that a regression shows.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    process::Command,
};

use anyhow::Result;
use e2e::binaries::workspace_root;
use serde_json::{Map, Value, json};

use crate::{figures::Measured, servers::Server};

/// A ratio that is worse by more than this is told.
const TOLERANCE: f64 = 1.2;

/// Adds a line; gives what is worse than in the last line that has it.
pub(crate) fn add(path: &Path, figures: &[Measured]) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let mut worse = Vec::new();
    let mut all = Map::new();
    for measured in figures {
        let name = measured.figure.name;
        let ratio = measured.ratio();
        let value =
            json!({"floor": measured.of(Server::Floor), "hub": measured.of_hub(), "ratio": ratio});
        all.insert(name.to_owned(), value);
        let before = lines
            .iter()
            .rev()
            .find_map(|line| line["figures"][name]["ratio"].as_f64());
        if let (Some(before), Some(now)) = (before, ratio) {
            let times = if measured.figure.more {
                before / now
            } else {
                now / before
            };
            if times > TOLERANCE {
                worse.push(format!("{name}: {now:.2}x the floor, was {before:.2}x"));
            }
        }
    }
    let line =
        json!({"commit": commit(), "date": output("date", &["-u", "+%Y-%m-%d"]), "figures": all});
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{line}")?;
    Ok(worse)
}

fn commit() -> String {
    output("git", &["rev-parse", "--short", "HEAD"])
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(workspace_root())
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
