//! The lines of the log at a collector, where that is asked for.

use anyhow::{Result, ensure};
use e2e::{Clients, CollectedLine, Collector, ConnectionOptions, System, SystemOptions, photo};

use crate::{COMPLETED, OWNER, PATIENCE, one_trace::upload};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Everything, also of the crates that carry lines to the collector: were their
/// own lines exported, each export would be the cause of the next.
const LOUD: &str = "debug,hyper=trace,hyper_util=trace,reqwest=trace";

#[tokio::test]
async fn the_lines_of_an_analysis_are_found_by_analysis_user_and_trace() -> Result<()> {
    let collector = Collector::start().await?;
    let mut settings = collector.settings_with_lines();
    settings.push(("Log__Filter", LOUD.to_owned()));
    let system = System::start(SystemOptions {
        hub: settings.clone(),
        worker: settings,
        quiet: true,
        ..SystemOptions::default()
    })
    .await?;
    let clients = Clients::start()?;
    let options = ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients.open(options).await?;
    phone.invoke("Resume", serde_json::json!([0])).await?;
    let id = upload(&system, TRACE).await?;
    phone
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
        .await?;

    let user = OWNER.to_string();
    let of_analysis = |line: &CollectedLine| {
        let known = line.has("analysis", &id.to_string()) && line.has("user", &user);
        known && line.trace == TRACE
    };
    let of = async |service: &str, what: &str, fits: &dyn Fn(&CollectedLine) -> bool| {
        let fits =
            |line: &CollectedLine| line.service == service && of_analysis(line) && fits(line);
        collector.wait_for_line(PATIENCE, what, fits).await
    };
    let accepted = of("hub-api", "the upload", &|line| {
        line.body == "analysis.accepted"
    })
    .await?;
    ensure!(accepted.severity == "INFO", "{accepted:?}");
    of("analysis-worker", "the attempt", &|_| true).await?;
    let notify = |line: &CollectedLine| line.has("route", "/internal/notify");
    of("hub-api", "the result", &notify).await?;

    check(&system, &collector.lines())
}

/// Nothing that carries lines is among them, and nothing that no log may have.
fn check(system: &System, lines: &[CollectedLine]) -> Result<()> {
    ensure!(lines.iter().any(|line| line.severity == "DEBUG"));
    for line in lines {
        let carriers = ["hyper", "reqwest", "opentelemetry"];
        let carries = carriers.iter().any(|each| line.scope.starts_with(each));
        ensure!(!carries, "a line of the export itself: {line:?}");
        let text = format!("{line:?}");
        // What every token begins with, and where they are.
        for never in ["eyJ", "access_token", "Bearer "] {
            ensure!(!text.contains(never), "{never} in {line:?}");
        }
        for secret in [&system.internal_secret, &system.issuer.secret] {
            ensure!(!text.contains(&**secret), "a secret in {}", line.scope);
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_waits_when_a_service_ends_is_sent_then() -> Result<()> {
    let collector = Collector::start().await?;
    let mut settings = collector.settings_with_lines();
    // Within the test nothing is sent before its service ends. Of two
    // variables of one name the last counts.
    settings.push(("OTEL_BLRP_SCHEDULE_DELAY", "3600000".to_owned()));
    settings.push(("OTEL_TRACES_EXPORTER", "none".to_owned()));
    let mut system = System::start(SystemOptions {
        hub: settings.clone(),
        worker: settings,
        ..SystemOptions::default()
    })
    .await?;
    let id = system.api(OWNER).upload(photo::small(1)).await?;
    system.api(OWNER).await_end(id, PATIENCE).await?;
    ensure!(collector.lines().is_empty(), "{:?}", collector.lines());
    system.stop_worker().await?;
    system.stop_hub().await?;
    let lines = collector.lines();
    for (service, body) in [
        ("hub-api", "analysis.accepted"),
        ("hub-api", "the hub has left"),
        ("analysis-worker", "taking jobs"),
    ] {
        let found = lines
            .iter()
            .any(|line| line.service == service && line.body == body);
        ensure!(found, "{body} of {service} is not among {lines:#?}");
    }
    ensure!(collector.spans().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_collector_named_for_traces_gets_no_lines() -> Result<()> {
    let collector = Collector::start().await?;
    let mut system = System::start(SystemOptions {
        hub: collector.settings(),
        ..SystemOptions::default()
    })
    .await?;
    system.api(OWNER).upload(photo::small(1)).await?;
    system.stop_hub().await?;
    ensure!(!collector.spans().is_empty() && collector.lines().is_empty());
    Ok(())
}
