//! `hub-api check`: the deployment's checklist as a command. Before deploying
//! it looks at the settings and at what the hub needs; with an address it looks
//! at the hub that runs there as well, as its clients and workers see it.
//!
//! It changes nothing but the log of one user of its own, [`CHECK_USER`], to
//! whom the notification goes that shows the way from post to client.

mod settings;
mod needs;
mod running;
mod socket;
mod client;
mod notification;

use std::time::Duration;

use checklist::{Item, Report};
use tokio::time::timeout;

use crate::config::{Config, ConfigError, Sources};

/// Whose log the check writes to, where it makes its token itself.
pub const CHECK_USER: &str = "tendril-check";

/// What hangs for longer has failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The address of a running hub; none before deploying.
    pub url: Option<String>,
    /// Where its internal routes are, if not there.
    pub internal_url: Option<String>,
    /// A user's token, where none can be made from `jwt.secret`.
    pub token: Option<String>,
}

/// Looks at everything.
pub async fn check(sources: &Sources, target: &Target) -> Report {
    let mut report = Report::new();
    let config = match Config::load_from(sources) {
        Ok(config) => Some(config),
        Err(error) => {
            report.extend(unusable(&error));
            None
        }
    };
    if let Some(config) = &config {
        report.extend(settings::items(config, &sources.variables));
        report.extend(Box::pin(needs::items(config)).await);
    }
    if let Some(url) = &target.url {
        report.extend(Box::pin(running::items(url, target, config.as_ref())).await);
    }
    report
}

fn unusable(error: &ConfigError) -> Vec<Item> {
    match error {
        ConfigError::Settings(::settings::ConfigError::Invalid(problems)) => {
            checklist::problems(problems).collect()
        }
        other => vec![Item::fail(
            "settings",
            crate::lifecycle::describe(other),
            "make the folder of settings readable",
        )],
    }
}

/// `look`, or an item that says that it hung.
async fn bounded(name: &str, advice: &str, look: impl Future<Output = Item>) -> Item {
    match timeout(PATIENCE, look).await {
        Ok(item) => item,
        Err(_) => Item::fail(name, format!("no answer within {PATIENCE:?}"), advice),
    }
}
