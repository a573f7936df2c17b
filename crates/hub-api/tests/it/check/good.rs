//! A good system: everything passes.

use checklist::Outcome;
use hub_api::check::{Target, check};

use super::{PRODUCTION, of_running};
use crate::harness::{Hub, INTERNAL_SECRET};

#[tokio::test]
async fn everything_passes_before_deploying_and_against_the_running_hub() {
    let hub = Hub::with(&PRODUCTION).await;
    let before = check(&hub.sources, &Target::default()).await;
    let running = of_running(&hub, &hub.sources).await;
    for report in [&before, &running] {
        for item in report.items() {
            assert_eq!(item.outcome, Outcome::Pass, "{report}");
        }
        let text = format!("{report}{}", report.to_json());
        assert!(!text.contains(INTERNAL_SECRET), "{text}");
        assert!(!text.contains("a signing secret of the tests"), "{text}");
    }
    for name in [
        "environment",
        "token keys",
        "internal secret",
        "database",
        "images",
    ] {
        assert!(before.item(name).is_some(), "{name} in\n{before}");
    }
    for name in [
        "hub",
        "clock",
        "health",
        "anonymous",
        "foreign pages",
        "origin https://app.example.com",
        "internal guard",
        "internal link",
        "ping",
        "notification",
        "forged receipts",
    ] {
        assert!(running.item(name).is_some(), "{name} in\n{running}");
    }
}

#[tokio::test]
async fn internal_routes_on_their_own_port_are_found() {
    let hub = Hub::with(&[("INTERNAL_PORT", "0")]).await;
    let target = Target {
        url: Some(hub.base.clone()),
        internal_url: Some(hub.internal_base.clone()),
        token: Some(hub.token("42")),
    };
    let report = check(&hub.sources, &target).await;
    for name in ["internal link", "ping", "notification"] {
        let item = report.item(name).unwrap();
        assert_eq!(item.outcome, Outcome::Pass, "{report}");
    }
}
