//! Against a real hub process.

use std::process::Command;

use e2e::{Parts, System, SystemOptions};

use super::{
    assert_complete, ended, report,
    second_client::{SecondClient, all_up_to},
    tendril_load,
};

/// A hub, and no worker.
async fn hub() -> System {
    let options = SystemOptions {
        parts: Some(Parts::default()),
        quiet: true,
        ..SystemOptions::default()
    };
    let mut system = System::prepare(options).await.unwrap();
    system.start_hub().await.unwrap();
    system
}

/// The program, told of the hub and its secrets.
fn load(system: &System, arguments: &[&str]) -> Command {
    let mut command = tendril_load(arguments);
    let claims = format!(
        r#"{{"iss":"{}","aud":"{}"}}"#,
        system.issuer.issuer, system.issuer.audience
    );
    command
        .args(["--url", &system.hub_url(), "--claims", &claims])
        .env("TENDRIL_LOAD_SECRET", &system.issuer.secret)
        .env("TENDRIL_LOAD_INTERNAL_SECRET", &system.internal_secret);
    command
}

#[tokio::test]
async fn a_second_client_gets_the_same_as_the_load_testers() {
    let system = hub().await;
    let url = format!(
        "{}?access_token={}",
        system.hub_url().replace("http", "ws"),
        system.issuer.token(7)
    );
    let second = SecondClient::connect(&url).await;
    let notify = load(
        &system,
        &[
            "notify",
            "--connections",
            "4",
            "--users",
            "1",
            "--first-user",
            "7",
            "--rate",
            "100",
            "--duration",
            "1s",
            "--warm-up",
            "100ms",
        ],
    );
    let report = report(notify).await;
    assert_complete(&report);
    assert_eq!(
        report["expected"].as_u64(),
        report["sent"].as_u64().map(|sent| sent * 4)
    );
    assert!(report["latency"]["p99Us"].as_f64().unwrap() > 0.0);
    let numbers = second.numbers(&report["sent"]).await;
    assert_eq!(numbers, all_up_to(&report["sent"]));
}

#[tokio::test]
async fn every_transport_and_protocol_delivers_all() {
    let mut system = hub().await;
    let pid = system.hubs()[0].pid().unwrap().to_string();
    let common = [
        "--connections",
        "12",
        "--duration",
        "500ms",
        "--warm-up",
        "0s",
        "--settle",
        "100ms",
        "--pid",
        &pid,
        "--fail-if",
        "loss>0%",
        "--fail-if",
        "p99>10s",
    ];
    for transport in ["ws", "sse", "lp"] {
        let mut notify = load(
            &system,
            &[
                "notify",
                "--progress",
                "--rate",
                "40",
                "--transport",
                transport,
            ],
        );
        assert_complete(&report(add(&mut notify, &common)).await);
        let protocol = if transport == "sse" {
            "json"
        } else {
            "messagepack"
        };
        let mut broadcast = load(
            &system,
            &[
                "broadcast",
                "--rate",
                "20",
                "--transport",
                transport,
                "--protocol",
                protocol,
            ],
        );
        let told = report(add(&mut broadcast, &common)).await;
        assert_complete(&told);
        assert!(told["server"]["memoryWith"].as_u64().unwrap() > 0);
        let mut echo = load(&system, &["echo", "--rate", "60", "--transport", transport]);
        assert_complete(&report(add(&mut echo, &common)).await);
    }
}

fn add(command: &mut Command, arguments: &[&str]) -> Command {
    let mut all = Command::new(command.get_program());
    all.args(command.get_args()).args(arguments);
    all.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    all
}

#[tokio::test]
async fn clients_come_and_go_and_come_back() {
    let system = hub().await;
    let churn = [
        "churn",
        "--connections",
        "4",
        "--rate",
        "50",
        "--duration",
        "1s",
    ];
    let churned = report(load(&system, &churn)).await;
    assert!(churned["opened"].as_u64().unwrap() > 20, "{churned:#}");
    assert_eq!(churned["failed"], 0, "{churned:#}");

    let storm = [
        "storm",
        "--connections",
        "20",
        "--rounds",
        "2",
        "--settle",
        "100ms",
    ];
    let stormed = report(load(&system, &storm)).await;
    assert_eq!(stormed["opened"], 60, "{stormed:#}");
    assert_eq!(stormed["latency"]["count"], 40, "{stormed:#}");

    let slow = [
        "slow",
        "--connections",
        "10",
        "--share",
        "3",
        "--rate",
        "20",
        "--duration",
        "500ms",
    ];
    let slowed = report(load(&system, &slow)).await;
    assert_eq!(slowed["lost"], 0, "{slowed:#}");
    assert_eq!(
        slowed["further"]["clients that did not read"], 3.0,
        "{slowed:#}"
    );

    let idle = [
        "idle",
        "--connections",
        "10",
        "--duration",
        "200ms",
        "--negotiate",
    ];
    assert_eq!(report(load(&system, &idle)).await["opened"], 10);
}

#[tokio::test]
async fn a_condition_that_is_met_sets_the_exit_code() {
    let system = hub().await;
    let notify = [
        "notify",
        "--connections",
        "2",
        "--rate",
        "50",
        "--duration",
        "300ms",
        "--fail-if",
        "p50>1ns",
        "--fail-if",
        "lost>0",
        "--fail-if",
        "memory_connection>1KB",
    ];
    let output = ended(load(&system, &notify)).await;
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(
        table.contains("p50>1ns: FAILED") && table.contains("lost>0: passed"),
        "{table}"
    );
    // Without --pid there is no figure to judge.
    assert!(
        table.contains("memory_connection>1KB: FAILED (not measured)"),
        "{table}"
    );
    assert!(!table.contains(&system.internal_secret));

    let mut wrong = load(
        &system,
        &["notify", "--connections", "2", "--duration", "300ms"],
    );
    wrong
        .env("TENDRIL_LOAD_INTERNAL_SECRET", "wrong")
        .arg("--json");
    let output = ended(wrong).await;
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("a post was answered 401"), "{report}");
}
