//! Plays the recordings of a real SignalR server against a server of your
//! choice, which has the methods and paths of `conformance_hub`:
//!
//! ```text
//! SIGNALR_ADDRESS=127.0.0.1:5000 cargo run -p signalr --example replay [file[/scenario]]..
//! ```
//!
//! Scenarios that stop the server or send to all of its clients need a server
//! of their own: the first are left out unless named, the latter run alone.

#[path = "../../tests/it/replay/mod.rs"]
mod replay;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;

use replay::scenario::Scenario;
use replay::{Outcome, Target, read_folder};

#[tokio::main]
async fn main() -> ExitCode {
    let Some(address) = std::env::var("SIGNALR_ADDRESS")
        .ok()
        .and_then(|text| address_of(&text))
    else {
        say("SIGNALR_ADDRESS names no server, e.g. 127.0.0.1:5000");
        return ExitCode::FAILURE;
    };
    let folder = std::env::var_os("SIGNALR_RECORDINGS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens")),
        PathBuf::from,
    );
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut scenarios = match read_folder(&folder) {
        Ok(scenarios) => scenarios,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    scenarios.retain(|scenario| is_wanted(scenario, &wanted));
    let (alone, together): (Vec<_>, Vec<_>) = scenarios
        .into_iter()
        .partition(|scenario| scenario.file == "groups");
    let mut outcomes = Vec::new();
    for scenario in alone {
        outcomes.extend(play(vec![scenario], address).await);
    }
    outcomes.extend(play(together, address).await);
    report(&outcomes)
}

async fn play(scenarios: Vec<Scenario>, address: SocketAddr) -> Vec<Outcome> {
    replay::replay_all(scenarios, async |_| {
        Target::new(address, None, || say("stop the server now (SIGTERM)"))
    })
    .await
}

fn is_wanted(scenario: &Scenario, wanted: &[String]) -> bool {
    let title = scenario.title();
    let named = wanted
        .iter()
        .any(|name| title == *name || scenario.file == *name);
    named || wanted.is_empty() && scenario.file != "shutdown"
}

/// The address that a text names, with or without a scheme and a path.
fn address_of(text: &str) -> Option<SocketAddr> {
    let authority = text
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap_or_default();
    authority.to_socket_addrs().ok()?.next()
}

fn report(outcomes: &[Outcome]) -> ExitCode {
    let mut differing = 0;
    for outcome in outcomes {
        if let Some(difference) = &outcome.difference {
            differing += 1;
            say(&format!("{}: {difference}", outcome.title));
        }
    }
    say(&format!("{} scenarios, {differing} differ", outcomes.len()));
    if differing == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn say(line: &str) {
    println!("{line}");
}
