//! Every recording of the real server, replayed against `conformance_hub`. A
//! difference fails the test, unless it is one of those that stay; one of
//! those that is gone fails it too.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use signalr::HubServer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::replay::scenario::{Scenario, read_folder};
use crate::replay::{Outcome, Target, replay_all};
use crate::service;

/// Scenarios in which this crate does something else than ASP.NET Core, and why.
const DIFFERENCES: &[(&str, &str)] = &[];

/// All files of recordings hold so many scenarios.
const RECORDED: usize = 301;

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_does_what_was_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let scenarios = read_folder(&folder).expect("the recordings are readable");
    assert_eq!(scenarios.len(), RECORDED);
    for (title, _) in DIFFERENCES {
        assert!(
            scenarios.iter().any(|known| known.title() == *title),
            "{title} is no scenario"
        );
    }
    let outcomes = replay_all(scenarios, start_server).await;
    let report = report(&outcomes);
    assert!(report.is_empty(), "{report}");
}

/// A server of its own for each scenario, so that what one sends to all, to a
/// user or to a group does not reach another.
async fn start_server(_: &Scenario) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback has a free port");
    let address = listener
        .local_addr()
        .expect("a bound listener has an address");
    let (router, hubs) = service::router().expect("the methods and options are valid");
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let server = Server { serving, hubs };
    Target::new(address, move || server.stop())
}

/// A running server, ended when dropped.
struct Server {
    serving: JoinHandle<std::io::Result<()>>,
    hubs: Vec<HubServer>,
}

impl Server {
    /// What a service does on SIGTERM.
    fn stop(&self) {
        for hub in self.hubs.clone() {
            tokio::spawn(async move { hub.drain(Duration::ZERO).await });
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What is not as it should be; empty when all is.
fn report(outcomes: &[Outcome]) -> String {
    let mut report = String::new();
    for outcome in outcomes {
        let known = DIFFERENCES
            .iter()
            .find(|(title, _)| *title == outcome.title);
        let line = match (&outcome.difference, known) {
            (Some(difference), None) => format!("{}: {difference}", outcome.title),
            (None, Some((title, reason))) => {
                format!("{title} is as recorded now, but listed as different: {reason}")
            }
            _ => continue,
        };
        writeln!(report, "{line}").expect("writing to a string cannot fail");
    }
    report
}
