//! What the client acknowledges is read, and is not sent again.

use anyhow::{Result, ensure};
use e2e::{Clients, ConnectionOptions, System, SystemOptions, photo};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{COMPLETED, OWNER, PATIENCE};

#[tokio::test]
async fn acknowledging_counts_as_read() -> Result<()> {
    let system = System::start_default().await?;
    let clients = Clients::start()?;
    let api = system.api(OWNER);
    let options = ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients.open(options).await?;
    for seed in 1..=3 {
        let id = api.upload(photo::small(seed)).await?;
        phone
            .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
            .await?;
    }
    let unread = || api.get::<Value>("/api/v1/notifications/unread-count");
    ensure!(unread().await? == json!({ "unread": 3, "acknowledged": 0 }));

    phone.invoke("Acknowledge", json!([2])).await?;
    ensure!(unread().await? == json!({ "unread": 1, "acknowledged": 2 }));
    // An older one takes nothing back, and nothing beyond the log can be read.
    phone.invoke("Acknowledge", json!([1])).await?;
    ensure!(unread().await? == json!({ "unread": 1, "acknowledged": 2 }));

    let request = api.request(Method::POST, "/api/v1/notifications/ack");
    let answer = request.json(&json!({ "sequence": 3 })).send().await?;
    ensure!(answer.status().is_success(), "{}", answer.text().await?);
    ensure!(unread().await? == json!({ "unread": 0, "acknowledged": 3 }));
    Ok(())
}

/// Where a proxy answers Pings itself, only the client's word counts.
#[tokio::test]
async fn only_acknowledging_confirms_when_so_set() -> Result<()> {
    let hub = vec![("Receipts__Confirm", "acknowledge".to_owned())];
    let system = System::start(SystemOptions {
        hub,
        ..SystemOptions::default()
    })
    .await?;
    let clients = Clients::start()?;
    let api = system.api(OWNER);
    let connect = |name: &str| {
        let options = ConnectionOptions::new(name, &system.hub_url(), &system.issuer.token(OWNER));
        clients.open(options)
    };
    let first = connect("first").await?;
    let id = api.upload(photo::small(1)).await?;
    first
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
        .await?;
    first.stop().await?;

    // Nobody said that it is there, so it comes again.
    let second = connect("second").await?;
    second
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
        .await?;
    second.invoke("Acknowledge", json!([1])).await?;
    second.stop().await?;

    let third = connect("third").await?;
    let next = api.upload(photo::small(2)).await?;
    third
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, next))
        .await?;
    ensure!(third.sequences() == [2], "{:?}", third.sequences());
    Ok(())
}
