//! Broken systems: each check names the fault.

use std::fs;

use checklist::Outcome;
use hub_api::check::{Target, check};

use super::{PRODUCTION, fails_at, forging_proxy, of_running, with};
use crate::harness::Hub;

/// Nothing listens there.
const NOBODY: &str = "127.0.0.1:9";

#[tokio::test]
async fn missing_and_unsafe_settings() {
    let hub = Hub::with(&PRODUCTION).await;
    let sources = with(
        &hub.sources,
        &[
            ("Jwt__Secret", ""),
            (
                "WebAPI__InternalSecret",
                "${ZIRAAI_INTERNAL_SECRET}-of-production",
            ),
            ("Cors__AllowedOrigins__0", "*"),
            ("Security__AllowedInternalIPs__0", "0.0.0.0/0"),
        ],
    );
    let report = check(&sources, &Target::default()).await;
    fails_at(&report, "jwt.secret", "is missing");
    fails_at(&report, "internal.secret", "placeholder");
    fails_at(&report, "cors.allowed_origins", "no origin");
    fails_at(&report, "internal.allowed_ips", "everyone");
}

#[tokio::test]
async fn a_misspelt_setting_in_a_file() {
    let hub = Hub::with(&PRODUCTION).await;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hub-api.toml"), "[server]\nprot = 80\n").unwrap();
    let mut sources = hub.sources.clone();
    sources.config_dir = dir.path().to_owned();
    let report = check(&sources, &Target::default()).await;
    fails_at(&report, "server.prot", "did you mean server.port?");
}

#[tokio::test]
async fn databases_that_are_away_or_are_none() {
    let hub = Hub::with(&PRODUCTION).await;
    let url = format!("postgres://me:hidden@{NOBODY}/hub?sslmode=disable");
    let sources = with(&hub.sources, &[("DATABASE_URL", &url)]);
    let report = check(&sources, &Target::default()).await;
    fails_at(&report, "database", "");
    assert!(!report.to_string().contains("hidden"), "{report}");

    let file = hub.data_dir().join("no-database");
    fs::write(&file, "this is a text and no database ".repeat(200)).unwrap();
    let url = format!("sqlite:{}", file.display());
    let sources = with(&hub.sources, &[("DATABASE_URL", &url)]);
    let report = check(&sources, &Target::default()).await;
    fails_at(&report, "database", "not a database");
}

#[tokio::test]
async fn a_folder_of_images_that_cannot_be_written() {
    let hub = Hub::with(&PRODUCTION).await;
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("images"),
        "a file where the folder should be",
    )
    .unwrap();
    let data = dir.path().to_str().unwrap();
    let report = check(
        &with(&hub.sources, &[("DATA_DIR", data)]),
        &Target::default(),
    )
    .await;
    fails_at(&report, "images", "");
}

#[tokio::test]
async fn broker_redis_and_issuer_that_are_away() {
    let hub = Hub::with(&PRODUCTION).await;
    let sources = with(
        &hub.sources,
        &[
            ("RABBITMQ_URL", &format!("amqp://me:hidden@{NOBODY}/")),
            ("UseRedis", "true"),
            ("REDIS_URL", &format!("redis://:hidden@{NOBODY}")),
            ("Jwt__JwksUrl", &format!("http://{NOBODY}/hidden")),
        ],
    );
    let report = check(&sources, &Target::default()).await;
    fails_at(&report, "broker", "reached");
    fails_at(&report, "redis", "does not answer");
    fails_at(&report, "published keys", "answer");
    assert!(!report.to_string().contains("hidden"), "{report}");
}

#[tokio::test]
async fn a_hub_that_is_away() {
    let hub = Hub::with(&PRODUCTION).await;
    let target = Target {
        url: Some(format!("http://{NOBODY}")),
        ..Target::default()
    };
    fails_at(&check(&hub.sources, &target).await, "hub", "");
    let target = Target {
        url: Some("hub.example.com".to_owned()),
        ..Target::default()
    };
    fails_at(&check(&hub.sources, &target).await, "hub", "no address");
}

#[tokio::test]
async fn a_running_hub_with_another_internal_secret() {
    let hub = Hub::with(&PRODUCTION).await;
    let other = (
        "WebAPI__InternalSecret",
        "another internal secret of the tests, long enough",
    );
    let report = of_running(&hub, &with(&hub.sources, &[other])).await;
    fails_at(&report, "internal link", "another secret");
    fails_at(&report, "notification", "401");
}

#[tokio::test]
async fn secrets_and_tokens_are_not_sent_where_others_can_listen() {
    let hub = Hub::with(&PRODUCTION).await;
    // The same hub, by an address that belongs to no private network.
    let open = hub.base.replace("127.0.0.1", "0.0.0.0");
    let target = |url: &str, internal: &str| Target {
        url: Some(url.to_owned()),
        internal_url: Some(internal.to_owned()),
        token: None,
    };
    let report = check(&hub.sources, &target(&open, &open)).await;
    fails_at(&report, "encryption", "not encrypted");
    fails_at(&report, "internal link", "not tried");
    let report = check(&hub.sources, &target(&hub.base, &open)).await;
    fails_at(&report, "internal link", "not tried");
    assert!(report.item("notification").is_none(), "{report}");
    let report = check(&hub.sources, &target(&open, &hub.base)).await;
    fails_at(&report, "encryption", "not encrypted");
    let link = report.item("internal link").unwrap();
    assert_eq!(link.outcome, Outcome::Pass, "{report}");
    assert!(report.item("token").unwrap().found.contains("not tried"));
    assert!(report.item("ping").is_none(), "{report}");
}

#[tokio::test]
async fn a_running_hub_that_allows_other_pages() {
    let hub = Hub::with(&PRODUCTION).await;
    let added = ("Cors__AllowedOrigins__1", "https://new.example.com");
    let report = of_running(&hub, &with(&hub.sources, &[added])).await;
    fails_at(&report, "origin https://new.example.com", "does not allow");
    let kept = report.item("origin https://app.example.com").unwrap();
    assert_eq!(kept.outcome, Outcome::Pass);
}

#[tokio::test]
async fn tokens_that_the_running_hub_does_not_take() {
    let hub = Hub::with(&PRODUCTION).await;
    let other = ("Jwt__Audience", "another audience");
    let report = of_running(&hub, &with(&hub.sources, &[other])).await;
    fails_at(&report, "ping", "401");
}

#[tokio::test]
async fn a_proxy_that_answers_pings_in_its_clients_place() {
    let hub = Hub::with(&PRODUCTION).await;
    let target = Target {
        url: Some(forging_proxy::start(&hub.address()).await),
        internal_url: Some(hub.base.clone()),
        token: None,
    };
    let report = check(&hub.sources, &target).await;
    assert_eq!(
        report.item("ping").unwrap().outcome,
        Outcome::Pass,
        "{report}"
    );
    fails_at(&report, "forged receipts", "never answered");
    let advice = report.item("forged receipts").unwrap().advice.clone();
    assert!(advice.unwrap().contains("Receipts__Confirm=acknowledge"));
}

#[tokio::test]
async fn what_works_but_is_not_well_is_told_without_failing() {
    let hub = Hub::with(&PRODUCTION).await;
    let sources = with(
        &hub.sources,
        &[
            ("Security__AllowedInternalIPs__0", ""),
            (
                "Jwt__PreviousSecret",
                "the signing secret before this one of the tests",
            ),
            ("Server__MaxConnections", "100000000"),
            ("RAILWAY_PROJECT_ID", "x"),
            ("WebAPI__BaseUrl", ""),
        ],
    );
    let report = check(&sources, &Target::default()).await;
    for name in [
        "allow-list",
        "rotation",
        "descriptors",
        "draining",
        "public address",
    ] {
        assert_eq!(
            report.item(name).unwrap().outcome,
            Outcome::Warn,
            "{report}"
        );
    }
    assert!(report.may_go_on());
}
