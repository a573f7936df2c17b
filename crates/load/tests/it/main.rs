//! The load tester as a program, against real servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod floor;
mod hub;
mod second_client;

use std::process::{Command, Output};

use serde_json::Value;

/// The program with arguments.
fn tendril_load(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tendril-load"));
    command.args(arguments);
    command
}

/// Runs it to its end, beside what else the test does.
async fn ended(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.unwrap().unwrap()
}

/// The exit code of a run in which the tester was the bottleneck.
const VOID: i32 = 3;

/// The report of a run that is to succeed. Void it may be: a machine that is
/// taken away for a moment (a guest's steal time) counts as use of its
/// processor, and what is asserted here are counts, not times.
async fn report(mut command: Command) -> Value {
    command.args(["--json", "--quiet"]);
    let output = ended(command).await;
    let (text, errors) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(text).unwrap_or_else(|_| panic!("{errors}"));
    let code = output.status.code();
    assert!(
        matches!(code, Some(0 | VOID)),
        "{code:?} {report:#}\n{errors}"
    );
    report
}

/// Asserts that everything that was sent came once and in order.
fn assert_complete(report: &Value) {
    for figure in ["lost", "duplicates", "outOfOrder", "failed", "closed"] {
        assert_eq!(report[figure], 0, "{figure}: {report:#}");
    }
    assert_eq!(report["received"], report["expected"], "{report:#}");
    assert!(report["expected"].as_u64().unwrap() > 0, "{report:#}");
}
