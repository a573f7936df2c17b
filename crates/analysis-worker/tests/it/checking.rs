//! The worker's check, against a hub that answers.

use std::path::Path;

use analysis_worker::{check::check, config::Sources};
use checklist::{Outcome, Report};

use crate::{
    hub::{Hub, Route},
    worker::variables,
};

async fn report(hub: &Hub, host: &str) -> Report {
    let url = format!("http://{host}:{}", hub.port);
    let sources = Sources {
        config_dir: Path::new("/nonexistent").to_owned(),
        variables: variables(hub, &[("ZIRAAI_WEBAPI_URL", &url)]),
    };
    check(&sources, None).await
}

#[tokio::test]
async fn the_secret_is_not_sent_where_others_can_listen() {
    let hub = Hub::start().await;
    // The same hub, by an address that belongs to no private network.
    let open = report(&hub, "0.0.0.0").await;
    let encryption = open.item("encryption").unwrap();
    assert_eq!(encryption.outcome, Outcome::Fail, "{open}");
    assert!(open.item("internal link").is_none(), "{open}");
    assert_eq!(hub.arrived(Route::Ping), 0);
    let private = report(&hub, "127.0.0.1").await;
    let link = private.item("internal link").unwrap();
    assert_eq!(link.outcome, Outcome::Pass, "{private}");
    assert_eq!(hub.arrived(Route::Ping), 1);
}
