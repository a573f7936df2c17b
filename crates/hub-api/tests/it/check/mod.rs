//! `hub-api check` against a good system and against broken ones: each fault is
//! named, and nothing that is shown holds a secret.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken;
mod command;
mod forging_proxy;
mod good;

use checklist::{Outcome, Report};
use hub_api::{
    check::{Target, check},
    config::Sources,
};

use crate::harness::Hub;

/// What a deployment sets, as far as a test can have it.
const PRODUCTION: [(&str, &str); 7] = [
    ("ASPNETCORE_ENVIRONMENT", "Production"),
    ("Jwt__Issuer", "tests"),
    ("Jwt__Audience", "tests"),
    ("WebAPI__BaseUrl", "https://hub.example.com"),
    ("Cors__AllowedOrigins__0", "https://app.example.com"),
    ("Security__AllowedInternalIPs__0", "10.0.0.0/8"),
    ("Server__MaxConnections", "500"),
];

/// `sources` with some variables set otherwise; an empty one is unset.
fn with(sources: &Sources, changes: &[(&str, &str)]) -> Sources {
    let mut sources = sources.clone();
    let changed = |name: &str| changes.iter().any(|(each, _)| *each == name);
    sources.variables.retain(|(name, _)| !changed(name));
    let added = changes.iter().filter(|(_, text)| !text.is_empty());
    sources
        .variables
        .extend(added.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    sources
}

/// The report on a running hub.
async fn of_running(hub: &Hub, sources: &Sources) -> Report {
    let target = Target {
        url: Some(hub.base.clone()),
        ..Target::default()
    };
    check(sources, &target).await
}

/// Asserts that the check failed with the item `name`, which says `words`.
fn fails_at(report: &Report, name: &str, words: &str) {
    let item = report.item(name);
    let item = item.unwrap_or_else(|| panic!("no item {name} in\n{report}"));
    assert_eq!(item.outcome, Outcome::Fail, "{report}");
    assert!(item.found.contains(words), "{words:?} in\n{report}");
    assert!(
        item.advice
            .as_ref()
            .is_some_and(|advice| !advice.is_empty())
    );
    assert!(!report.may_go_on());
}
