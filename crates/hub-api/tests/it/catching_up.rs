//! Clients that lack a part of the log, while it cannot be read or is deleted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use hub_api::store::{
    Location, LoggedEntry, NewNotification, Retention, Store, StoreOptions, Stream,
};
use private_services::Postgres;
use serde_json::{Value, json};
use shared_dto::UserId;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{sleep, timeout};

use crate::{client::Client, harness::Hub};

/// Far beyond what anything takes: a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longer than a connection waits for `Resume`, and a reading for its answer.
const LONG_ENOUGH_TO_FAIL: Duration = Duration::from_secs(7);

async fn notify(hub: &Hub, number: i64) {
    let body = json!({"userId": 42, "event": "Done", "payload": {"number": number}});
    hub.call("/internal/notify", &body, 202).await;
}

/// The sequences that come until the answer to `Resume`, and that answer.
async fn replayed(client: &mut Client) -> (Vec<i64>, Value) {
    let mut sequences = Vec::new();
    let read = async {
        loop {
            let message = client
                .find(|message| message["target"] == "Done" || message["type"] == 3)
                .await;
            if message["type"] == 3 {
                return message["result"].clone();
            }
            sequences.push(message["arguments"][0]["sequence"].as_i64().unwrap());
        }
    };
    let answer = timeout(PATIENCE, read).await.expect("an answer");
    (sequences, answer)
}

/// Another process on the same database, as its upkeep is one.
async fn beside(url: &str) -> Store {
    let options = StoreOptions::on(Location::parse(url).unwrap());
    let nobody = Box::new(|entries: &[LoggedEntry]| vec![0; entries.len()]);
    let (store, writer) = Store::open(options, nobody).await.unwrap();
    tokio::spawn(writer);
    store
}

/// Entries so large that no system takes many that were not read.
async fn fill(store: &Store, entries: usize) {
    let payload: Arc<str> = json!({"filling": "x".repeat(60_000)}).to_string().into();
    let append = || {
        store.append(NewNotification {
            stream: Stream::of_user(&UserId::from(42)),
            event: "Done".into(),
            payload: Arc::clone(&payload),
            analysis_id: None,
            idempotency: None,
            outcome: None,
            trace: None,
        })
    };
    for answer in join_all((0..entries).map(|_| append())).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn who_connects_while_the_database_is_away_waits_for_it() {
    let mut server = Postgres::start().await.unwrap();
    let url = server.new_database().await;
    let hub = Hub::with(&[("DATABASE_URL", &url)]).await;
    notify(&hub, 1).await;
    server.process.kill().await.unwrap();
    let mut client = Client::connect(&hub, "42").await;
    client.ping().await;
    sleep(LONG_ENOUGH_TO_FAIL).await;
    client.ping().await;
    server.process.start_again().await.unwrap();
    let event = timeout(PATIENCE, client.event("Done")).await;
    assert_eq!(event.expect("the same connection is told")[0]["number"], 1);
}

#[tokio::test]
async fn a_replay_goes_on_where_the_database_left_it() {
    let mut server = Postgres::start().await.unwrap();
    let url = server.new_database().await;
    let hub = Hub::with(&[("DATABASE_URL", &url)]).await;
    fill(&beside(&url).await, 250).await;
    let mut client = Client::connect_with_little_room(&hub, "42").await;
    client.resume(0).await;
    let first = client.event("Done").await;
    assert_eq!(first[0]["sequence"], 1);
    server.process.kill().await.unwrap();
    let read = tokio::spawn(async move { replayed(&mut client).await });
    sleep(LONG_ENOUGH_TO_FAIL).await;
    server.process.start_again().await.unwrap();
    let (sequences, answer) = read.await.unwrap();
    assert_eq!(sequences, (2..=250).collect::<Vec<_>>());
    assert_eq!(
        (&answer["complete"], &answer["to"]),
        (&json!(true), &json!(250))
    );
}

#[tokio::test]
async fn a_replay_that_retention_overtook_is_not_called_complete() {
    let url = Postgres::shared().await.new_database().await;
    let hub = Hub::with(&[("DATABASE_URL", &url)]).await;
    let upkeep = beside(&url).await;
    fill(&upkeep, 250).await;
    let mut client = Client::connect_with_little_room(&hub, "42").await;
    client.resume(0).await;
    // The first page is read by then, and the client takes no second one.
    let first = client.event("Done").await;
    assert_eq!(first[0]["sequence"], 1);
    let retention = Retention {
        entries_per_stream: 20,
        ..Retention::default()
    };
    while upkeep.purge(retention).await.unwrap().more {}
    let (sequences, answer) = replayed(&mut client).await;
    let kept: Vec<i64> = (231..=250).collect();
    assert!(sequences.ends_with(&kept), "{sequences:?}");
    assert!(
        sequences.len() < 249,
        "the client was too fast to be overtaken"
    );
    assert_eq!(
        (&answer["complete"], &answer["to"]),
        (&json!(false), &json!(250))
    );
    client.resume(250).await;
    let (sequences, answer) = replayed(&mut client).await;
    assert_eq!((sequences, &answer["complete"]), (vec![], &json!(true)));
}

#[tokio::test]
async fn a_live_client_that_retention_overtook_is_told_when_it_comes_back() {
    let url = Postgres::shared().await.new_database().await;
    let hub = Hub::with(&[("DATABASE_URL", &url), ("Nodes__Sweep", "0.2")]).await;
    notify(&hub, 1).await;
    let mut client = Client::connect(&hub, "42").await;
    client.resume(0).await;
    assert_eq!(replayed(&mut client).await.0, [1]);
    // Another hub wrote this, and deleted the most of it, all at once.
    let mut other = PgConnection::connect(&url).await.unwrap();
    let written = "BEGIN;
        INSERT INTO log (id, stream, sequence, event, payload, created_at)
            SELECT nextval('notification_ids'), 'user:42', n, 'Done', '{}', 0
            FROM generate_series(150, 200) n;
        UPDATE streams SET head = 200, oldest = 150 WHERE stream = 'user:42';
        COMMIT";
    sqlx::raw_sql(written).execute(&mut other).await.unwrap();
    let told = client.find(|message| message["target"] == "Done" || message["type"] == 7);
    let told = timeout(PATIENCE, told).await.expect("something comes");
    assert_eq!(
        (&told["type"], &told["allowReconnect"]),
        (&json!(7), &json!(true)),
        "{told}"
    );
    let mut client = Client::connect(&hub, "42").await;
    client.resume(1).await;
    let (sequences, answer) = replayed(&mut client).await;
    assert_eq!((sequences, &answer["complete"]), (vec![], &json!(false)));
}
