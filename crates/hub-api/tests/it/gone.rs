//! Callers that leave in the midst of their request.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use image::ImageFormat;
use private_services::Postgres;
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, sqlite::SqliteConnectOptions};
use tokio::time::{Instant, sleep};

use crate::harness::{Hub, photo, read};

const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent, or what was cut, has reached the hub by then. Were it not so,
/// a test would show less, and fail no sooner.
const SETTLED: Duration = Duration::from_millis(400);

/// The photos that the hub keeps.
fn photos(hub: &Hub) -> usize {
    let folders = std::fs::read_dir(hub.config.images_dir()).unwrap();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    files
        .filter(|file| file.as_ref().unwrap().path().extension().unwrap() == "jpg")
        .count()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn no_photo_of_an_upload_that_was_cut_is_left_without_its_analysis() {
    let url = Postgres::shared().await.new_database().await;
    let hub = Hub::with(&[("DATABASE_URL", &url)]).await;
    let upload = |key: &str| {
        let upload = hub.upload("42", photo(ImageFormat::Jpeg));
        tokio::spawn(upload.header("Idempotency-Key", key).send())
    };
    let mut other = PgConnection::connect(&url).await.unwrap();
    let lock = "BEGIN; LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    // A transaction sees the activity as it was when it first looked, so
    // somebody else looks.
    let mut watcher = PgConnection::connect(&url).await.unwrap();
    // The first keeps the writer busy, the second waits for the writer.
    let first = upload("first");
    until("the writer waits for the lock", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting = sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watcher);
        waiting.await.unwrap() > 0
    })
    .await;
    let second = upload("second");
    until("both photos are kept", async || photos(&hub) == 2).await;
    sleep(SETTLED).await;
    second.abort();
    sleep(SETTLED).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    first.await.unwrap().unwrap();
    until("each photo has its analysis", async || {
        let list = hub.get_by("42", "/api/v1/plantanalyses").await;
        list["items"].as_array().unwrap().len() == photos(&hub)
    })
    .await;
}

/// The photo is kept, and then nobody knows whether its analysis was written.
#[tokio::test]
async fn no_photo_is_left_of_an_upload_that_the_database_did_not_answer() {
    let mut server = Postgres::start().await.unwrap();
    let url = server.new_database().await;
    let hub = Hub::with(&[("DATABASE_URL", &url)]).await;
    hub.uploaded("42").await;
    let upload = || {
        let upload = hub.upload("42", photo(ImageFormat::Jpeg));
        upload.header("Idempotency-Key", "one").send()
    };
    server.process.freeze().await.unwrap();
    let refused = upload().await.unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    read(refused, 503).await;
    assert_eq!(photos(&hub), 2, "it may be needed");
    server.process.thaw().await.unwrap();
    until("the upload is accepted", async || {
        upload().await.unwrap().status() == 202
    })
    .await;
    until("each photo has its analysis", async || {
        let list = hub.get_by("42", "/api/v1/plantanalyses").await;
        assert_eq!(list["items"].as_array().unwrap().len(), 2);
        photos(&hub) == 2
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_left_hands_its_wake_up_to_the_next() {
    let hub = Hub::with(&[("Jobs__LeaseSeconds", "5")]).await;
    hub.uploaded("42").await;
    let job = hub.leased().await;
    let wait = |worker: &str| {
        let request = json!({"workerId": worker, "maxJobs": 1, "waitSeconds": 20});
        let request = hub
            .internal(reqwest::Method::POST, "/internal/jobs/lease")
            .json(&request);
        tokio::spawn(request.send())
    };
    let first = wait("first");
    sleep(SETTLED).await;
    let second = wait("second");
    sleep(SETTLED).await;
    // It is ready in two seconds; the first is woken then, and must wait to
    // take it, for somebody else writes to the database.
    let retry = format!("/internal/jobs/{}/retry", job["jobId"]);
    let back = json!({"token": job["token"], "error": "502", "userMessage": "x"});
    hub.call(&retry, &back, 200).await;
    sleep(SETTLED).await;
    let file = SqliteConnectOptions::new().filename(hub.data_dir().join("tendril.db"));
    let mut other = file.connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    sleep(Duration::from_millis(1800)).await;
    first.abort();
    sleep(SETTLED).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let leased: Value = read(second.await.unwrap().unwrap(), 200).await;
    assert_eq!(leased["jobs"][0]["jobId"], job["jobId"], "{leased}");
}
