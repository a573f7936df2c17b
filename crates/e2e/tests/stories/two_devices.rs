//! One photo in, one notification out: on each device of its owner, on nobody else's.

use anyhow::{Context as _, Result, ensure};
use e2e::{Clients, ConnectionOptions, Set, System, log_check, photo};
use serde_json::json;
use shared_dto::analysis::AnalysisStatus;

use crate::{COMPLETED, OWNER, PATIENCE, PROGRESS, STRANGER};

#[tokio::test]
async fn negotiated_with_the_token_in_the_header() -> Result<()> {
    one_photo_two_devices(|options| options).await
}

#[tokio::test]
async fn negotiated_with_the_token_in_the_query() -> Result<()> {
    one_photo_two_devices(ConnectionOptions::token_in_query).await
}

#[tokio::test]
async fn without_negotiation_with_the_token_in_the_header() -> Result<()> {
    one_photo_two_devices(ConnectionOptions::skip_negotiation).await
}

#[tokio::test]
async fn without_negotiation_with_the_token_in_the_query() -> Result<()> {
    one_photo_two_devices(|options| options.skip_negotiation().token_in_query()).await
}

async fn one_photo_two_devices(
    connect: impl Fn(ConnectionOptions) -> ConnectionOptions,
) -> Result<()> {
    let system = System::start_default().await?;
    let clients = Clients::start()?;
    let options = |name: &str, user: i64| {
        connect(ConnectionOptions::new(
            name,
            &system.hub_url(),
            &system.issuer.token(user),
        ))
    };
    let phone = clients.open(options("phone", OWNER)).await?;
    let browser = clients.open(options("browser", OWNER)).await?;
    let stranger = clients.open(options("stranger", STRANGER)).await?;

    let id = system.api(OWNER).upload(photo::small(1)).await?;
    for device in [&phone, &browser] {
        let completed = device
            .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
            .await?;
        let payload = completed.payload();
        ensure!(payload["userId"] == json!(OWNER), "{payload}");
        ensure!(payload["status"] == json!("Completed"), "{payload}");
        ensure!(payload["sequence"] == json!(1), "{payload}");
        ensure!(payload["cropType"] == json!("wheat"), "{payload}");
        ensure!(
            payload["deepLink"] == json!(format!("app://analysis/{id}")),
            "{payload}"
        );
        ensure!(
            payload["overallHealthScore"]
                .as_u64()
                .is_some_and(|score| score <= 100),
            "{payload}"
        );
        ensure!(payload["primaryConcern"].is_string(), "{payload}");
        ensure!(payload["notificationId"].is_i64(), "{payload}");
        let link = payload["imageUrl"].as_str().context("no imageUrl")?;
        ensure!(
            reqwest::get(link).await?.status().is_success(),
            "{link} does not open"
        );
        progress_came_first(&device.told(), id)?;
    }

    // The stranger's own notification is behind everything that could have leaked.
    let other = system.api(STRANGER).upload(photo::small(2)).await?;
    stranger
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, other))
        .await?;
    for told in stranger.told() {
        ensure!(
            told.payload()["analysisId"] == json!(other),
            "a stranger heard {told:?}"
        );
    }
    for device in [&phone, &browser] {
        ensure!(
            device
                .told()
                .iter()
                .all(|told| told.payload()["analysisId"] == json!(id))
        );
    }

    let analysis = system.api(OWNER).analysis(id).await?;
    ensure!(analysis.status == AnalysisStatus::Completed);
    ensure!(
        analysis
            .result
            .is_some_and(|result| result.overall_health_score.is_some())
    );
    let overlay = analysis.overlay_url.context("no overlay picture")?;
    ensure!(
        reqwest::get(&overlay).await?.status().is_success(),
        "{overlay} does not open"
    );
    let in_folder = system.folder().join("data/images").exists();
    ensure!(
        in_folder == (Set::from_environment()? == Set::Embedded),
        "pictures are in the hub's folder, or in the bucket of the production parts"
    );
    log_check::check_log(&system.api(OWNER).whole_log().await?, &[id])
}

fn progress_came_first(told: &[e2e::clients::Told], id: i64) -> Result<()> {
    let end = told
        .iter()
        .position(|told| told.is_about(COMPLETED, id))
        .context("no end")?;
    let percents: Vec<_> = told
        .iter()
        .filter(|told| told.is_about(PROGRESS, id))
        .map(|told| told.payload()["percent"].as_u64())
        .collect();
    ensure!(
        told[..end].iter().any(|told| told.is_about(PROGRESS, id)),
        "no progress: {told:?}"
    );
    ensure!(percents.is_sorted(), "progress went back: {percents:?}");
    ensure!(
        percents
            .iter()
            .all(|percent| percent.is_some_and(|percent| percent <= 100))
    );
    Ok(())
}
