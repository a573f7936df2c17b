//! Tendril from outside: the real binaries, the official client, one file a story.

mod two_devices;
mod client_away;
mod commands;
mod silent_client;
mod acknowledge;
mod worker_killed;
mod over_rabbitmq;
mod slow_node;
mod hub_killed;
mod disk_full;
mod ends_in_order;
mod deployed_contract;
mod older_names;
mod timeline;
mod bad_input;
mod make_run;
mod storm;
mod faults;
mod documented;
mod one_trace;
mod exported_lines;
mod kill_switch;
mod checklist;

use std::time::Duration;

/// Far above what anything takes: a test fails by it, and none measures by it.
const PATIENCE: Duration = Duration::from_secs(90);

/// The user whose analyses the stories follow.
const OWNER: i64 = 42;

/// Somebody else.
const STRANGER: i64 = 43;

const PROGRESS: &str = "ReceiveAnalysisProgress";
const COMPLETED: &str = "ReceiveAnalysisCompleted";
const FAILED: &str = "ReceiveAnalysisFailed";

/// Sequences without their repeats, which at-least-once delivery may bring.
fn without_repeats(sequences: &[i64]) -> Vec<i64> {
    let mut seen = Vec::new();
    for sequence in sequences {
        if !seen.contains(sequence) {
            seen.push(*sequence);
        }
    }
    seen
}
