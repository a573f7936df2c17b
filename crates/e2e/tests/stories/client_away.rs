//! A client that was away resumes from the sequence that it has.

use anyhow::{Context as _, Result, ensure};
use e2e::{Api, Client, Clients, ConnectionOptions, System, photo};
use serde_json::{Value, json};

use crate::{COMPLETED, OWNER, PATIENCE, without_repeats};

#[tokio::test]
async fn gets_what_it_missed_in_order_and_then_what_comes() -> Result<()> {
    let system = System::start_default().await?;
    let clients = Clients::start()?;
    let api = system.api(OWNER);
    let connect = |name: &str| {
        let options = ConnectionOptions::new(name, &system.hub_url(), &system.issuer.token(OWNER));
        clients.open(options)
    };

    let before = connect("before").await?;
    let first = analyse(&api, 1).await?;
    before
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, first))
        .await?;
    before.stop().await?;
    analyse(&api, 2).await?;
    analyse(&api, 3).await?;

    let back = connect("back").await?;
    let resumed = back.invoke("Resume", json!([1])).await?;
    ensure!(resumed["from"] == json!(2), "{resumed}");
    ensure!(resumed["to"] == json!(3), "{resumed}");
    ensure!(resumed["complete"] == json!(true), "{resumed}");
    let fourth = analyse(&api, 4).await?;
    back.wait_for(PATIENCE, |told| told.is_about(COMPLETED, fourth))
        .await?;
    ensure!(
        without_repeats(&back.sequences()) == [2, 3, 4],
        "{:?}",
        back.sequences()
    );

    let epoch = resumed["epoch"].as_str().context("no epoch")?.to_owned();
    cursors_of_both_kinds(&system, &clients, &epoch).await
}

async fn cursors_of_both_kinds(system: &System, clients: &Clients, epoch: &str) -> Result<()> {
    for (name, cursor, from, complete, sequences) in [
        (
            "nothing missed",
            json!(format!("{epoch}:4")),
            Some(5),
            true,
            vec![],
        ),
        (
            "one missed",
            json!(format!("{epoch}:3")),
            Some(4),
            true,
            vec![4],
        ),
        ("from the start", json!(0), Some(1), true, vec![1, 2, 3, 4]),
        (
            "another epoch",
            json!("another-epoch:3"),
            None,
            false,
            vec![],
        ),
        ("from the future", json!(99), None, false, vec![]),
    ] {
        let options = ConnectionOptions::new(name, &system.hub_url(), &system.issuer.token(OWNER));
        let client = clients.open(options).await?;
        let resumed = client.invoke("Resume", json!([cursor])).await?;
        ensure!(resumed["complete"] == json!(complete), "{name}: {resumed}");
        if let Some(from) = from {
            ensure!(
                resumed["from"] == json!(from) && resumed["to"] == json!(4),
                "{name}: {resumed}"
            );
        }
        // What Resume sent is in front of its own answer.
        ensure!(
            client.sequences() == sequences,
            "{name}: {:?}",
            client.sequences()
        );
        client.stop().await?;
    }
    refused(clients, system, json!([])).await?;
    refused(clients, system, json!([1, 2])).await?;
    refused(clients, system, json!([{}])).await?;
    refused(clients, system, json!([-1])).await
}

async fn refused(clients: &Clients, system: &System, arguments: Value) -> Result<()> {
    let name = format!("refused {arguments}");
    let options = ConnectionOptions::new(&name, &system.hub_url(), &system.issuer.token(OWNER));
    let client: Client = clients.open(options).await?;
    ensure!(
        client.invoke("Resume", arguments).await.is_err(),
        "{name}: it was taken"
    );
    client
        .invoke("Resume", json!([4]))
        .await
        .context("the connection is of no use any more")?;
    client.stop().await
}

async fn analyse(api: &Api, seed: u64) -> Result<i64> {
    let id = api.upload(photo::small(seed)).await?;
    api.await_end(id, PATIENCE).await?;
    Ok(id)
}
