//! `analysis-worker check`: the worker's part of the deployment's checklist.
//! It looks at the settings, at the hub that they name, at the broker and at
//! n8n; with an address also at the worker that runs there. It starts no
//! analysis and takes no job.

use checklist::{Item, Report, Web};
use http::Method;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use shared_dto::notify::INTERNAL_SECRET_HEADER;
use time::OffsetDateTime;

use crate::config::{Config, ConfigError, N8nConfig, Sources};

/// Looks at everything; `url` is that of a running worker.
pub async fn check(sources: &Sources, url: Option<&str>) -> Report {
    let mut report = Report::new();
    match Config::load_from(sources) {
        Ok(config) => {
            report.add(checklist::environment(config.environment));
            report.add(checklist::secret(
                "internal secret",
                config.hub.secret.as_ref(),
            ));
            report.extend(checklist::railway(&sources.variables));
            let (hub, broker, n8n) = tokio::join!(
                hub(&config),
                checklist::broker(&config.rabbitmq),
                n8n(&config.n8n)
            );
            report.extend(hub);
            report.add(broker);
            report.extend(n8n);
        }
        Err(ConfigError::Invalid(problems)) => report.extend(checklist::problems(&problems)),
        Err(error) => {
            let advice = "make the folder of settings readable";
            report.add(Item::fail("settings", error.to_string(), advice));
        }
    }
    if let Some(url) = url {
        report.extend(running(url).await);
    }
    report
}

/// The hub is there, agrees with our clock, and has the same secret.
async fn hub(config: &Config) -> Vec<Item> {
    const NAME: &str = "hub";
    let base = config.hub.base_url.as_ref().map(|base| base.url().as_str());
    let web = match Web::new(base.unwrap_or_default()) {
        Ok(web) => web,
        Err(error) => return vec![Item::fail(NAME, error.to_string(), "set ZIRAAI_WEBAPI_URL")],
    };
    let (reachable, headers) = web.reachable(NAME, "/health/live").await;
    let mut items = vec![reachable];
    let Some(headers) = headers else { return items };
    items.push(checklist::clock(&headers, OffsetDateTime::now_utc()));
    items.push(web.health("/health").await);
    if !web.is_private() {
        let found = format!("{} is not encrypted", web.origin());
        let advice = "call the hub by https or over the private network: the secret can be read, \
                      and was not tried here";
        items.push(Item::fail("encryption", found, advice));
    } else if let Some(secret) = &config.hub.secret {
        items.push(internal_link(&web, secret).await);
    }
    items
}

async fn internal_link(web: &Web, secret: &SecretString) -> Item {
    const NAME: &str = "internal link";
    let ping = web
        .request(Method::GET, "/internal/ping")
        .header(INTERNAL_SECRET_HEADER, secret.expose_secret());
    let status = match ping.send().await {
        Ok(answer) => answer.status(),
        Err(error) => return Item::fail(NAME, checklist::cause(error), "look at the hub's log"),
    };
    let (found, advice) = match status.as_u16() {
        204 => return Item::pass(NAME, "the hub has the same secret"),
        401 => (
            "the hub has another secret".to_owned(),
            "give both sides the same ZIRAAI_INTERNAL_SECRET; `check` on each shows its fingerprint",
        ),
        403 => (
            "the hub takes no internal calls from here".to_owned(),
            "add this network to the hub's Security__AllowedInternalIPs, or call it directly",
        ),
        404 => (
            "the internal routes are not there".to_owned(),
            "give ZIRAAI_WEBAPI_URL the port of the hub's INTERNAL_PORT",
        ),
        429 => (
            "this address has called too often".to_owned(),
            "wait a minute; set the hub's Security__AllowedInternalIPs",
        ),
        _ => (format!("answered {status}"), "look at the hub's log"),
    };
    Item::fail(NAME, found, advice)
}

/// The n8n server answers. The webhook itself is not called: it would start
/// the workflow.
async fn n8n(config: &N8nConfig) -> Vec<Item> {
    const NAME: &str = "n8n";
    let Some(webhook) = &config.webhook_url else {
        return vec![Item::pass(NAME, "not used: the built-in analyser works")];
    };
    let origin = webhook.url().origin().ascii_serialization();
    let web = match Web::new(&origin) {
        Ok(web) => web,
        Err(error) => return vec![Item::fail(NAME, error.to_string(), "set N8N__WebhookUrl")],
    };
    let advice = "check N8N__WebhookUrl, that n8n runs, and the network between";
    let mut items = vec![match web.request(Method::GET, "/healthz").send().await {
        Ok(answer) if answer.status().is_server_error() => {
            let found = format!("{origin} answers {}", answer.status());
            Item::fail(NAME, found, advice)
        }
        // Whatever stands before n8n may not pass its health on.
        Ok(answer) => Item::pass(NAME, format!("{origin} answers {}", answer.status())),
        Err(error) => Item::fail(NAME, checklist::cause(error), advice),
    }];
    if config.auth_secret.is_none() {
        items.push(Item::warn(
            "n8n authentication",
            "anybody who knows the webhook may call it",
            "use Header Auth in the Webhook node, and set N8N__AuthSecret",
        ));
    }
    items.extend(test_webhook(webhook.url()));
    items
}

/// n8n's test address works only while somebody looks at the editor.
fn test_webhook(webhook: &Url) -> Option<Item> {
    webhook.path().contains("/webhook-test/").then(|| {
        Item::fail(
            "n8n webhook",
            "it is the test address, which listens only while the editor waits",
            "take the production address of the Webhook node",
        )
    })
}

/// A running worker is well.
async fn running(url: &str) -> Vec<Item> {
    let web = match Web::new(url) {
        Ok(web) => web,
        Err(error) => return vec![Item::fail("worker", error.to_string(), "correct --url")],
    };
    let (mut reachable, headers) = web.reachable("worker", "/health/live").await;
    reachable.name = "worker".to_owned();
    let mut items = vec![reachable];
    if headers.is_some() {
        let mut health = web.health("/health").await;
        health.name = "worker health".to_owned();
        items.push(health);
    }
    items
}
