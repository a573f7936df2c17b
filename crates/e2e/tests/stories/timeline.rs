//! `hub-api explain` tells what happened to an analysis, from upload to receipt.

use anyhow::{Context as _, Result, ensure};
use e2e::{Clients, ConnectionOptions, System, photo};
use tokio::process::Command;

use crate::{COMPLETED, OWNER, PATIENCE, STRANGER};

#[tokio::test]
async fn from_upload_to_receipt() -> Result<()> {
    let system = System::start_default().await?;
    let clients = Clients::start()?;
    let options = ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients.open(options).await?;
    let id = system.api(OWNER).upload(photo::small(1)).await?;
    phone
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
        .await?;
    let deadline = std::time::Instant::now() + PATIENCE;
    let timeline = loop {
        let timeline = explain(&system, OWNER, id).await?;
        if steps(&timeline).contains(&"confirmed") || std::time::Instant::now() > deadline {
            break timeline;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let steps = steps(&timeline);
    let mut rest = steps.iter();
    for step in [
        "uploaded",
        "leased",
        "progress",
        "completed",
        "logged",
        "handed",
        "confirmed",
    ] {
        ensure!(
            rest.any(|each| *each == step),
            "{step} is missing or out of order in\n{timeline}"
        );
    }
    let refused = explain(&system, STRANGER, id).await;
    ensure!(
        refused.is_err(),
        "a stranger's analysis was explained: {refused:?}"
    );
    Ok(())
}

/// What happened, in the order of the lines: each begins with a date, a time
/// and the seconds since the upload.
pub(crate) fn steps(timeline: &str) -> Vec<&str> {
    let lines = timeline
        .lines()
        .filter(|line| line.contains("Z ") && line.contains(" s  "));
    lines
        .filter_map(|line| line.split_whitespace().nth(4))
        .collect()
}

/// What the command prints; an error when it fails.
pub(crate) async fn explain(system: &System, user: i64, analysis: i64) -> Result<String> {
    let program = system.hub_program();
    let mut command = Command::new(&program.path);
    command.envs(program.environment.iter().cloned());
    command.args([
        "explain",
        "--user",
        &user.to_string(),
        "--analysis",
        &analysis.to_string(),
    ]);
    let output = command.output().await.context("explain does not start")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "explain failed: {text}{errors}");
    Ok(text)
}
