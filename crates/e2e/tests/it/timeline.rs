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
        if timeline.contains("confirmed") || std::time::Instant::now() > deadline {
            break timeline;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let mut from = 0;
    for step in [
        "uploaded",
        "leased",
        "completed",
        "logged",
        "handed",
        "confirmed",
    ] {
        let at = timeline[from..].find(step);
        from += at.with_context(|| format!("{step} is missing or out of order in\n{timeline}"))?;
    }
    let refused = explain(&system, STRANGER, id).await;
    ensure!(
        refused.is_err(),
        "a stranger's analysis was explained: {refused:?}"
    );
    Ok(())
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
