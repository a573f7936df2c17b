//! The commands that operators of such a system have in their runbooks, typed
//! as they stand there but for the address: `curl` for CORS, health, metrics
//! and an upgrade, `openssl` for a secret, a variable for an emergency.

use anyhow::{Context as _, Result, ensure};
use e2e::{System, SystemOptions};
use serde_json::Value;
use tokio::process::Command;

const PAGE: &str = "https://app.example.com";

/// What a command prints; it must end well.
async fn shell(command: &str) -> Result<String> {
    let mut shell = Command::new("bash");
    let ran = shell.args(["-c", command]).kill_on_drop(true).output();
    let ran = ran.await?;
    let (printed, error) = (
        String::from_utf8_lossy(&ran.stdout).into_owned(),
        String::from_utf8_lossy(&ran.stderr),
    );
    ensure!(ran.status.success(), "{command}: {printed}{error}");
    Ok(printed)
}

/// What `curl` with these arguments gets: the head in small letters, and the body.
async fn curl(arguments: &str) -> Result<(String, String)> {
    let printed = shell(&format!("curl -s -i --max-time 20 {arguments}")).await?;
    let (head, body) = printed.split_once("\r\n\r\n").context("a head")?;
    Ok((head.to_ascii_lowercase(), body.to_owned()))
}

fn json(body: &str) -> Result<Value> {
    serde_json::from_str(body).with_context(|| body.to_owned())
}

async fn hub(settings: &[(&'static str, &str)]) -> Result<System> {
    let settings = settings.iter();
    let mut system = System::prepare(SystemOptions {
        hub: settings
            .map(|(name, text)| (*name, (*text).to_owned()))
            .collect(),
        ..SystemOptions::default()
    })
    .await?;
    system.start_hub().await?;
    Ok(system)
}

#[tokio::test]
async fn cors_is_tried_with_curl() -> Result<()> {
    let system = hub(&[("Cors__AllowedOrigins__0", PAGE)]).await?;
    let url = system.url();
    let preflight = |origin: &str| {
        format!(
            "-H 'Origin: {origin}' \
             -H 'Access-Control-Request-Method: GET' \
             -H 'Access-Control-Request-Headers: authorization' \
             -X OPTIONS \
             {url}/hubs/plantanalysis"
        )
    };
    let (head, _) = curl(&preflight(PAGE)).await?;
    ensure!(head.starts_with("http/1.1 20"), "{head}");
    for line in [
        &format!("access-control-allow-origin: {PAGE}"),
        "access-control-allow-credentials: true",
        "access-control-allow-headers: authorization",
    ] {
        ensure!(head.contains(line), "{line} is not in {head}");
    }
    let (head, _) = curl(&preflight("https://other.example.com")).await?;
    ensure!(!head.contains("access-control-allow-origin"), "{head}");
    Ok(())
}

#[tokio::test]
async fn health_and_metrics_are_looked_at_with_curl() -> Result<()> {
    let system = hub(&[]).await?;
    let url = system.url();
    for path in ["/health", "/health/signalr", "/api/health"] {
        let (head, body) = curl(&format!("-k {url}{path}")).await?;
        ensure!(head.starts_with("http/1.1 200"), "{path}: {head}");
        // A hub that has just started may not have reached its broker yet.
        let status = json(&body)?["status"].clone();
        ensure!(
            status == "Healthy" || status == "Degraded",
            "{path}: {body}"
        );
    }
    let token = system.issuer.operator();
    let metrics = format!("{url}/api/internal/signalr/metrics");
    let (head, body) = curl(&format!("-H 'Authorization: Bearer {token}' {metrics}")).await?;
    ensure!(head.starts_with("http/1.1 200"), "{head}");
    ensure!(json(&body)?["currentConnections"] == 0, "{body}");
    let (head, _) = curl(&metrics).await?;
    ensure!(head.starts_with("http/1.1 401"), "{head}");
    Ok(())
}

#[tokio::test]
async fn an_upgrade_is_tried_with_curl() -> Result<()> {
    let system = hub(&[]).await?;
    let upgrade = |query: &str| {
        format!(
            "-k -N -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
             -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' \
             '{}{query}'",
            system.hub_url()
        )
    };
    // Without a token the hub answers; with one it speaks WebSocket, and curl
    // goes on listening until its time is over.
    let (head, _) = curl(&upgrade("")).await?;
    ensure!(head.starts_with("http/1.1 401"), "{head}");
    let token = system.issuer.token(42);
    let arguments = upgrade(&format!("?access_token={token}"));
    let printed = shell(&format!("curl -s -i --max-time 2 {arguments} || true")).await?;
    let printed = printed.to_ascii_lowercase();
    ensure!(printed.starts_with("http/1.1 101"), "{printed}");
    // The accept value of RFC 6455, section 1.3.
    let accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=";
    ensure!(printed.contains(accept), "{printed}");
    Ok(())
}

#[tokio::test]
async fn a_secret_of_openssl_is_good_and_live_updates_are_switched_off_by_a_variable() -> Result<()>
{
    let secret = shell("openssl rand -base64 32").await?;
    let settings = [
        ("ZIRAAI_INTERNAL_SECRET", secret.trim()),
        ("ENABLE_SIGNALR", "false"),
    ];
    let system = hub(&settings).await?;
    let (url, token) = (system.url(), system.issuer.token(42));
    let negotiate = format!(
        "-X POST -H 'Authorization: Bearer {token}' '{url}/hubs/plantanalysis/negotiate?negotiateVersion=1'"
    );
    let (head, _) = curl(&negotiate).await?;
    ensure!(head.starts_with("http/1.1 503"), "{head}");
    ensure!(head.contains("retry-after:"), "{head}");
    // All else works: users can poll.
    let list = format!("-H 'Authorization: Bearer {token}' {url}/api/v1/plantanalyses");
    let (head, _) = curl(&list).await?;
    ensure!(head.starts_with("http/1.1 200"), "{head}");
    let post = format!(
        "-X POST -H 'Content-Type: application/json' -H 'X-Internal-Secret: {}' \
         -d '{{\"userId\":42,\"event\":\"ReportReady\",\"payload\":{{}}}}' {url}/internal/notify",
        secret.trim()
    );
    let (head, body) = curl(&post).await?;
    ensure!(head.starts_with("http/1.1 202"), "{head} {body}");
    Ok(())
}
