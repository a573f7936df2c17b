//! A hub that does not read what Redis sends it: Redis closes its connection.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{Clients, ConnectionOptions, Parts, System, SystemOptions, log_check};
use private_services::{Postgres, Redis};
use redis::aio::MultiplexedConnection;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{OWNER, PATIENCE, without_repeats};

const EVENT: &str = "ReportReady";

/// What Redis keeps for a subscriber that does not read, beside what the
/// sockets hold.
const LIMIT: &str = "pubsub 2097152 2097152 0";

/// Far beyond the few megabytes that the sockets between Redis and a hub hold.
const MOST_BROADCASTS: usize = 2_000;

const NOTIFICATIONS: i64 = 50;

#[tokio::test]
async fn a_hub_that_redis_dropped_subscribes_again_and_reads_the_log() -> Result<()> {
    let redis = Redis::start().await?;
    let mut console = redis::Client::open(redis.url())?
        .get_multiplexed_async_connection()
        .await?;
    let mut system = System::start(options(&redis).await).await?;
    let [here, there] = [0, 1].map(|hub| system.hubs()[hub].port());
    // It is not told of the broadcasts that it does not listen to.
    let clients = Clients::start_warning_to(Stdio::null())?;
    let hub = format!("http://127.0.0.1:{there}/hubs/plantanalysis");
    let phone = ConnectionOptions::new("phone", &hub, &system.issuer.token(OWNER));
    let phone = clients
        .open(phone.listening_to(&[EVENT]).reconnecting())
        .await?;
    notify(&system, here, 1).await?;
    phone
        .wait_for(PATIENCE, |told| told.is_event(EVENT))
        .await?;

    let () = redis::cmd("CONFIG")
        .arg("SET")
        .arg("client-output-buffer-limit")
        .arg(LIMIT)
        .query_async(&mut console)
        .await?;
    let before = subscribers(&mut console).await?;
    ensure!(before.len() == 2, "two hubs subscribe: {before:?}");
    system.hubs()[1].freeze().await?;
    let mut broadcasts = 0;
    while subscribers(&mut console).await?.is_superset(&before) {
        ensure!(
            broadcasts < MOST_BROADCASTS,
            "Redis keeps a subscriber that reads nothing"
        );
        broadcast(&system, here).await?;
        broadcasts += 1;
    }
    let left = subscribers(&mut console).await?;
    ensure!(
        left.len() == 1 && left.is_subset(&before),
        "Redis closed one of {before:?} and left {left:?}"
    );
    // Nobody tells the frozen hub of these: what it is sent was sent before.
    for number in 2..=NOTIFICATIONS {
        notify(&system, here, number).await?;
    }
    system.hubs()[1].thaw().await?;
    // No sweep is due for ten minutes: it is the new subscription that looks.
    phone
        .wait_until(PATIENCE, |_| {
            phone.sequences().contains(&NOTIFICATIONS).then_some(())
        })
        .await?;
    log_check::check_received(&without_repeats(&phone.sequences()), NOTIFICATIONS)?;
    let again = subscribers(&mut console).await?;
    ensure!(
        again.len() == 2 && again.is_superset(&left) && again != before,
        "first {before:?}, then {left:?}, now {again:?}"
    );
    until_connected(there, 2).await?;
    ensure!(connects(here).await? == 1, "the other hub was dropped, too");

    notify(&system, here, NOTIFICATIONS + 1).await?;
    phone
        .wait_for(PATIENCE, |told| {
            told.payload()["sequence"] == NOTIFICATIONS + 1
        })
        .await?;
    Ok(())
}

async fn options(redis: &Redis) -> SystemOptions {
    SystemOptions {
        parts: Some(Parts {
            database: Some(Postgres::shared().await.new_database().await),
            redis: Some(redis.url()),
            ..Parts::default()
        }),
        hubs: 2,
        hub: vec![("Nodes__Sweep", "600".to_owned())],
        ..SystemOptions::default()
    }
}

/// The ids of the connections that subscribe to anything.
async fn subscribers(console: &mut MultiplexedConnection) -> Result<BTreeSet<u64>> {
    let list: String = redis::cmd("CLIENT")
        .arg("LIST")
        .arg("TYPE")
        .arg("pubsub")
        .query_async(console)
        .await?;
    let ids = list.lines().filter_map(|line| {
        let id = line.split(' ').find_map(|field| field.strip_prefix("id="));
        id.map(str::parse)
    });
    Ok(ids.collect::<Result<_, _>>()?)
}

async fn notify(system: &System, hub: u16, number: i64) -> Result<()> {
    let body = json!({ "event": EVENT, "userId": OWNER, "payload": { "number": number } });
    post(system, hub, "notify", &body).await
}

/// A message that every hub is told of, and no client waits for.
async fn broadcast(system: &System, hub: u16) -> Result<()> {
    let body = json!({ "event": "Prices", "arguments": ["x".repeat(60_000)] });
    post(system, hub, "broadcast", &body).await
}

async fn post(system: &System, hub: u16, what: &str, body: &Value) -> Result<()> {
    let answer = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{hub}/internal/{what}"))
        .header("X-Internal-Secret", &system.internal_secret)
        .json(body)
        .send()
        .await?;
    let status = answer.status();
    ensure!(status == StatusCode::ACCEPTED, "{what} answered {status}");
    Ok(())
}

/// Its report may be a second old.
async fn until_connected(hub: u16, times: u64) -> Result<()> {
    let connected = async {
        while connects(hub).await? < times {
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    };
    let connected = timeout(PATIENCE, connected).await;
    connected.context("the hub says that it never lost Redis")?
}

/// How often a hub says that it has connected to Redis.
async fn connects(hub: u16) -> Result<u64> {
    let report: Value = reqwest::get(format!("http://127.0.0.1:{hub}/health"))
        .await?
        .json()
        .await?;
    let checks = report["checks"].as_array().context("checks")?;
    let redis = checks.iter().find(|check| check["name"] == "redis");
    redis
        .and_then(|check| check["data"]["connects"].as_u64())
        .with_context(|| format!("{report}"))
}
