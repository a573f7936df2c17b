//! One trace from the upload to the client, seen by a collector.

use anyhow::{Result, ensure};
use e2e::{Clients, CollectedSpan, Collector, ConnectionOptions, System, SystemOptions, photo};
use reqwest::Method;

use crate::{COMPLETED, OWNER, PATIENCE};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test]
async fn an_upload_is_followed_through_queue_and_worker_to_the_push() -> Result<()> {
    let collector = Collector::start().await?;
    let mut hub = collector.settings();
    hub.push(("Log__Format", "json".to_owned()));
    let system = System::start(SystemOptions {
        hub,
        worker: collector.settings(),
        ..SystemOptions::default()
    })
    .await?;
    let clients = Clients::start()?;
    let options = ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients.open(options).await?;
    // From here on entries are pushed as they are logged.
    phone.invoke("Resume", serde_json::json!([0])).await?;

    let id = upload(&system, TRACE).await?;
    phone
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
        .await?;
    let about = |span: &CollectedSpan| {
        let id = id.to_string();
        let mut attributes = span.attributes.iter();
        attributes.any(|(key, value)| key == "analysis" && *value == id)
    };
    let of = async |service: &str, name: &str| {
        let fits = |span: &CollectedSpan| {
            span.service == service && span.name == name && span.trace == TRACE && about(span)
        };
        collector.wait_for(PATIENCE, name, fits).await
    };
    let upload = of("hub-api", "POST /api/v1/plantanalyses/analyze-async").await?;
    ensure!(upload.parent == "b7ad6b7169203331", "{upload:?}");
    let attempt = of("analysis-worker", "attempt").await?;
    ensure!(attempt.parent == upload.id, "{attempt:?} of {upload:?}");
    let notify = of("hub-api", "POST /internal/notify").await?;
    ensure!(notify.parent == attempt.id, "{notify:?} of {attempt:?}");
    let push = of("hub-api", "push").await?;
    ensure!(push.parent == notify.id, "{push:?} of {notify:?}");
    ensure!(
        system
            .logs()?
            .contains(&format!("\"trace_id\":\"{TRACE}\"")),
        "no line of the hub has the trace"
    );
    for span in collector.spans() {
        let text = format!("{span:?}");
        for secret in [&system.internal_secret, &system.issuer.secret] {
            ensure!(!text.contains(secret.as_str()), "a secret in {}", span.name);
        }
        ensure!(!text.contains("access_token"), "a token in {}", span.name);
    }
    Ok(())
}

/// Uploads a photo within a trace; gives the analysis.
pub(crate) async fn upload(system: &System, trace: &str) -> Result<i64> {
    let part = reqwest::multipart::Part::bytes(photo::small(1)).file_name("photo.jpg");
    let form = reqwest::multipart::Form::new().part("image", part);
    let sent = system
        .api(OWNER)
        .request(Method::POST, "/api/v1/plantanalyses/analyze-async")
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .multipart(form)
        .send();
    let accepted: serde_json::Value = sent.await?.error_for_status()?.json().await?;
    accepted["analysisId"]
        .as_i64()
        .ok_or_else(|| anyhow::anyhow!("{accepted}"))
}

#[tokio::test]
async fn a_collector_that_is_away_costs_nobody_anything() -> Result<()> {
    // Nothing listens there.
    let nobody = vec![(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://127.0.0.1:9".to_owned(),
    )];
    let mut system = System::start(SystemOptions {
        hub: nobody.clone(),
        worker: nobody,
        ..SystemOptions::default()
    })
    .await?;
    let id = system.api(OWNER).upload(photo::small(1)).await?;
    system.api(OWNER).await_end(id, PATIENCE).await?;
    system.stop_worker().await?;
    system.stop_hub().await
}
