//! The option for the older names of the events.

use anyhow::{Result, ensure};
use e2e::{Clients, ConnectionOptions, System, SystemOptions, photo};

use crate::{COMPLETED, OWNER, PATIENCE};

const OLDER: &str = "AnalysisCompleted";

#[tokio::test]
async fn instead_of_the_newer_ones() -> Result<()> {
    ensure!(events_with("plain").await? == [OLDER]);
    Ok(())
}

#[tokio::test]
async fn beside_the_newer_ones() -> Result<()> {
    let mut events = events_with("both").await?;
    events.sort();
    ensure!(events == [OLDER, COMPLETED], "{events:?}");
    Ok(())
}

/// The names under which the first notification came, a second one being there.
async fn events_with(names: &str) -> Result<Vec<String>> {
    let hub = vec![("Notifications__EventNames", names.to_owned())];
    let system = System::start(SystemOptions {
        hub,
        ..SystemOptions::default()
    })
    .await?;
    let clients = Clients::start()?;
    let options = ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients
        .open(options.listening_to(&[OLDER, COMPLETED]))
        .await?;
    let api = system.api(OWNER);
    let first = api.upload(photo::small(1)).await?;
    phone
        .wait_for(PATIENCE, |told| told.is_about(OLDER, first))
        .await?;
    let second = api.upload(photo::small(2)).await?;
    phone
        .wait_for(PATIENCE, |told| told.is_about(OLDER, second))
        .await?;
    let told = phone.told();
    Ok(told
        .iter()
        .filter(|told| told.payload()["analysisId"] == first)
        .filter_map(|told| told.name.clone())
        .collect())
}
