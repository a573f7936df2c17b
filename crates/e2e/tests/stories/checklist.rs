//! `hub-api check` and `analysis-worker check` beside a running system: nothing
//! fails while it is well, and each fault is named.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{System, process::Program};
use serde_json::Value;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

/// Nothing listens there.
const NOBODY: &str = "http://127.0.0.1:9";

/// The report of `check`, run with some settings changed, and whether it may go on.
async fn check(
    program: &Program,
    arguments: &[&str],
    changes: &[(&str, &str)],
) -> Result<(Value, bool)> {
    let ran = Command::new(&program.path)
        .args(["check", "--json"])
        .args(arguments)
        .env_clear()
        .envs(program.environment.iter().cloned())
        .envs(changes.iter().copied())
        .kill_on_drop(true)
        .output()
        .await?;
    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    for (name, value) in &program.environment {
        let secret = name.to_ascii_uppercase().contains("SECRET");
        ensure!(
            !secret || !shown.contains(value),
            "{name} is shown: {shown}"
        );
    }
    let report = serde_json::from_str(&shown).with_context(|| shown.clone())?;
    Ok((report, ran.status.success()))
}

/// The outcome of the item `name`.
fn outcome<'a>(report: &'a Value, name: &str) -> Result<&'a str> {
    let items = report["items"].as_array().context("a list of items")?;
    let item = items.iter().find(|item| item["name"] == name);
    let item = item.with_context(|| format!("no item {name} in {report:#}"))?;
    item["outcome"].as_str().context("an outcome")
}

/// A hub that has just started serves, and may still be connecting to its broker.
async fn until_it_is_well(url: &str) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let health = reqwest::get(format!("{url}/health")).await?;
        let health: Value = health.json().await?;
        if health["status"] == "Healthy" {
            return Ok(());
        }
        ensure!(
            Instant::now() < until,
            "it does not become well: {health:#}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn nothing_fails_while_the_system_is_well() -> Result<()> {
    let system = System::start_default().await?;
    let url = system.url();
    until_it_is_well(&url).await?;
    let hub = check(system.hub_program(), &["--url", &url], &[]).await?;
    let worker_port = system.worker_port();
    let worker_url = format!("http://127.0.0.1:{worker_port}");
    let worker = check(system.worker_program(), &["--url", &worker_url], &[]).await?;
    for ((report, may_go_on), names) in [
        (
            hub,
            &[
                "health",
                "internal link",
                "ping",
                "notification",
                "forged receipts",
            ][..],
        ),
        (
            worker,
            &[
                "hub",
                "health",
                "internal link",
                "n8n",
                "worker",
                "worker health",
            ],
        ),
    ] {
        ensure!(may_go_on, "{report:#}");
        for name in names {
            ensure!(outcome(&report, name)? == "pass", "{name}: {report:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_could_not_work_is_told_why() -> Result<()> {
    let system = System::start_default().await?;
    let nobodys_n8n = format!("{NOBODY}/webhook/leaf");
    let test_webhook = format!("{}/webhook-test/leaf", system.url());
    for (changes, name) in [
        (
            (
                "ZIRAAI_INTERNAL_SECRET",
                "another secret of more than 32 characters",
            ),
            "internal link",
        ),
        (("WebAPI__BaseUrl", NOBODY), "hub"),
        (("WebAPI__BaseUrl", "hub"), "hub.base_url"),
        (("N8N__WebhookUrl", &*nobodys_n8n), "n8n"),
        (("N8N__WebhookUrl", &*test_webhook), "n8n webhook"),
        (("RABBITMQ_URL", "amqp://127.0.0.1:9/"), "broker"),
        (("Worker__PollSeconds", "600"), "worker.poll"),
    ] {
        let (report, may_go_on) = check(system.worker_program(), &[], &[changes]).await?;
        ensure!(!may_go_on, "{changes:?}: {report:#}");
        ensure!(outcome(&report, name)? == "fail", "{changes:?}: {report:#}");
    }
    let (report, may_go_on) = check(system.worker_program(), &["--url", NOBODY], &[]).await?;
    ensure!(
        !may_go_on && outcome(&report, "worker")? == "fail",
        "{report:#}"
    );
    Ok(())
}
