//! A client that knows nothing of us, and never calls `Resume`, loses its
//! network without a close and comes back. Nobody confirmed what was sent into
//! the void, so it is sent again.

use anyhow::{Result, ensure};
use e2e::{ChaosProxy, Clients, ConnectionOptions, System, photo};

use crate::{COMPLETED, OWNER, PATIENCE, without_repeats};

/// The unmodified client notices the loss by its own timeout (30 s) and reconnects.
#[tokio::test]
async fn gets_it_after_its_own_reconnect() -> Result<()> {
    let system = System::start_default().await?;
    let proxy = ChaosProxy::start(system.hub_port).await?;
    let clients = Clients::start()?;
    let url = format!("http://127.0.0.1:{}/hubs/plantanalysis", proxy.port());
    let token = system.issuer.token(OWNER);
    let phone = clients
        .open(ConnectionOptions::new("phone", &url, &token).reconnecting())
        .await?;
    let api = system.api(OWNER);

    let first = api.upload(photo::small(1)).await?;
    phone
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, first))
        .await?;
    await_confirmed(&system, first).await?;

    proxy.go_dark();
    let second = api.upload(photo::small(2)).await?;
    api.await_end(second, PATIENCE).await?;
    proxy.come_back();

    phone
        .wait_for(PATIENCE, |told| told.kind == "reconnected")
        .await?;
    phone
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, second))
        .await?;
    let third = api.upload(photo::small(3)).await?;
    phone
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, third))
        .await?;
    ensure!(
        without_repeats(&phone.sequences()) == [1, 2, 3],
        "{:?}",
        phone.sequences()
    );
    let firsts = phone
        .told()
        .iter()
        .filter(|told| told.is_about(COMPLETED, first))
        .count();
    ensure!(firsts == 1, "what was confirmed came {firsts} times");
    Ok(())
}

/// The app starts anew before the hub could notice that its old connection is dead.
#[tokio::test]
async fn gets_it_on_a_new_connection_beside_the_dead_one() -> Result<()> {
    let system = System::start_default().await?;
    let proxy = ChaosProxy::start(system.hub_port).await?;
    let clients = Clients::start()?;
    let url = format!("http://127.0.0.1:{}/hubs/plantanalysis", proxy.port());
    let token = system.issuer.token(OWNER);
    let api = system.api(OWNER);
    let connect =
        |name: &str| clients.open(ConnectionOptions::new(name, &url, &token).skip_negotiation());

    let dead = connect("dead").await?;
    proxy.go_dark();
    let id = api.upload(photo::small(1)).await?;
    api.await_end(id, PATIENCE).await?;
    proxy.come_back();

    let fresh = connect("fresh").await?;
    fresh
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
        .await?;
    ensure!(
        dead.sequences().is_empty(),
        "the dead connection is not dead"
    );
    await_confirmed(&system, id).await?;

    // Confirmed by now: a third connection hears only what is new.
    let third = connect("third").await?;
    let next = api.upload(photo::small(2)).await?;
    third
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, next))
        .await?;
    ensure!(third.sequences() == [2], "{:?}", third.sequences());
    Ok(())
}

/// Nobody was connected at all when it ended.
#[tokio::test]
async fn gets_it_when_it_connects_for_the_first_time() -> Result<()> {
    let system = System::start_default().await?;
    let clients = Clients::start()?;
    let api = system.api(OWNER);
    let mut ids = Vec::new();
    for seed in 1..=3 {
        ids.push(api.upload(photo::small(seed)).await?);
    }
    for id in &ids {
        api.await_end(*id, PATIENCE).await?;
    }
    let options = ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER));
    let phone = clients.open(options).await?;
    for id in ids {
        phone
            .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
            .await?;
    }
    ensure!(phone.sequences() == [1, 2, 3], "{:?}", phone.sequences());
    Ok(())
}

/// Waits until the timeline shows that a device has it.
async fn await_confirmed(system: &System, analysis: i64) -> Result<()> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let timeline = crate::timeline::explain(system, OWNER, analysis).await?;
        if crate::timeline::steps(&timeline).contains(&"confirmed") {
            return Ok(());
        }
        ensure!(
            std::time::Instant::now() < deadline,
            "nobody confirmed it:\n{timeline}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
