//! The routes that the deployed worker calls, with bodies as it sends them.

use anyhow::{Context as _, Result, ensure};
use e2e::{Clients, ConnectionOptions, System};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{COMPLETED, FAILED, OWNER, PATIENCE};

#[tokio::test]
async fn completed_and_failed_reach_the_user() -> Result<()> {
    let system = System::start_default().await?;
    let clients = Clients::start()?;
    let options = ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients.open(options).await?;

    let completed = json!({
        "internalSecret": system.internal_secret,
        "userId": OWNER,
        "notification": {
            "analysisId": "777",
            "userId": OWNER,
            "status": "Completed",
            "completedAt": "2025-10-01T12:00:00Z",
            "cropType": "Tomato",
            "primaryConcern": "Leaf spot",
            "overallHealthScore": 75,
            "imageUrl": "https://images.example.com/777.jpg",
            "deepLink": "app://analysis/777",
        },
    });
    ensure!(post(&system, "analysis-completed", &completed).await?.0 == StatusCode::OK);
    let told = phone
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, 777))
        .await?;
    ensure!(
        told.payload()["primaryConcern"] == json!("Leaf spot"),
        "{told:?}"
    );
    ensure!(
        told.payload()["overallHealthScore"] == json!(75),
        "{told:?}"
    );
    ensure!(
        told.payload()["deepLink"] == json!("app://analysis/777"),
        "{told:?}"
    );

    let failed = json!({
        "internalSecret": system.internal_secret,
        "userId": OWNER,
        "notification": {
            "analysisId": 778,
            "userId": OWNER,
            "status": "Failed",
            "errorMessage": "The photo is too dark",
            "timestamp": "2025-10-01T12:01:00Z",
        },
    });
    ensure!(post(&system, "analysis-failed", &failed).await?.0 == StatusCode::OK);
    let told = phone
        .wait_for(PATIENCE, |told| told.is_about(FAILED, 778))
        .await?;
    ensure!(
        told.payload()["errorMessage"] == json!("The photo is too dark"),
        "{told:?}"
    );
    let log = system.api(OWNER).whole_log().await?;
    ensure!(log.iter().map(|entry| entry.sequence).eq(1..=2), "{log:?}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_secret_is_refused_without_a_hint() -> Result<()> {
    let system = System::start_default().await?;
    let notification = json!({ "analysisId": 1, "userId": OWNER, "status": "Completed" });
    for secret in [
        json!("wrong"),
        json!(""),
        json!(format!("{}x", system.internal_secret)),
    ] {
        let body =
            json!({ "internalSecret": secret, "userId": OWNER, "notification": notification });
        let (status, text) = post(&system, "analysis-completed", &body).await?;
        ensure!(status == StatusCode::UNAUTHORIZED, "{status} {text}");
        ensure!(!text.contains(&system.internal_secret), "{text}");
    }
    ensure!(system.api(OWNER).whole_log().await?.is_empty());
    ensure!(
        !system.logs()?.contains(&system.internal_secret),
        "the secret is in a log"
    );
    Ok(())
}

/// Any other kind of job notifies alike, and a repeated call is answered as the first was.
#[tokio::test]
async fn notify_tells_of_any_job_once_per_key() -> Result<()> {
    let system = System::start_default().await?;
    let clients = Clients::start()?;
    let options = ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients.open(options.listening_to(&["ReportReady"])).await?;
    let body = json!({ "event": "ReportReady", "userId": OWNER, "payload": { "reportId": 9 } });
    let notify = async |body: &Value| -> Result<(StatusCode, Value)> {
        let request = reqwest::Client::new().post(format!("{}/internal/notify", system.url()));
        let request = request.header("X-Internal-Secret", &system.internal_secret);
        let answer = request
            .header("Idempotency-Key", "report-9")
            .json(body)
            .send()
            .await?;
        Ok((
            answer.status(),
            answer.json().await.context("the answer is no JSON")?,
        ))
    };
    let (status, first) = notify(&body).await?;
    ensure!(
        status == StatusCode::ACCEPTED && first["sequence"] == json!(1),
        "{status} {first}"
    );
    let told = phone
        .wait_for(PATIENCE, |told| told.is_event("ReportReady"))
        .await?;
    ensure!(
        told.payload()["reportId"] == json!(9) && told.payload()["sequence"] == json!(1),
        "{told:?}"
    );

    let (status, again) = notify(&body).await?;
    ensure!(status == StatusCode::OK, "{status} {again}");
    ensure!(
        again["notificationId"] == first["notificationId"],
        "{again} is not {first}"
    );
    let other = json!({ "event": "ReportReady", "userId": OWNER, "payload": { "reportId": 10 } });
    ensure!(notify(&other).await?.0 == StatusCode::CONFLICT);
    ensure!(system.api(OWNER).whole_log().await?.len() == 1);
    Ok(())
}

async fn post(system: &System, route: &str, body: &Value) -> Result<(StatusCode, String)> {
    let url = format!("{}/api/internal/signalr/{route}", system.url());
    let answer = reqwest::Client::new().post(url).json(body).send().await?;
    Ok((answer.status(), answer.text().await?))
}
