//! PostgreSQL.

use std::time::Duration;

use private_services::Postgres;
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn notes(url: &str) -> i64 {
    let mut connection = connect(url).await;
    let row = connection
        .fetch_one("SELECT count(*) FROM note")
        .await
        .unwrap();
    row.get(0)
}

#[tokio::test]
async fn each_database_of_the_shared_server_is_empty() {
    let (one, other) = tokio::join!(Postgres::shared(), Postgres::shared());
    assert_eq!(one.port(), other.port());
    let (one, other) = tokio::join!(one.new_database(), other.new_database());
    assert_ne!(one, other);
    for url in [one, other] {
        let mut connection = connect(&url).await;
        connection
            .execute("CREATE TABLE note (id int)")
            .await
            .unwrap();
        assert_eq!(notes(&url).await, 0);
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_kill_and_stop() {
    let mut server = Postgres::start().await.unwrap();
    let url = server.new_database().await;
    connect(&url)
        .await
        .execute("CREATE TABLE note (id int); INSERT INTO note VALUES (1)")
        .await
        .unwrap();
    // A session that is busy dies with the server.
    let mut busy = connect(&url).await;
    let busy = tokio::spawn(async move { busy.execute("SELECT pg_sleep(600)").await });
    server.process.kill().await.unwrap();
    assert!(busy.await.unwrap().is_err());
    assert!(PgConnection::connect(&url).await.is_err());
    server.process.start_again().await.unwrap();
    assert_eq!(notes(&url).await, 1);
    let open = connect(&url).await;
    server.process.stop().await.unwrap();
    drop(open);
    server.process.start_again().await.unwrap();
    assert_eq!(notes(&url).await, 1);
}

#[tokio::test]
async fn a_frozen_server_answers_when_it_thaws() {
    let mut server = Postgres::start().await.unwrap();
    let mut connection = connect(&server.url("postgres")).await;
    server.process.freeze().await.unwrap();
    let question = connection.execute("SELECT 1");
    tokio::pin!(question);
    assert!(
        timeout(Duration::from_millis(300), &mut question)
            .await
            .is_err()
    );
    server.process.thaw().await.unwrap();
    question.await.unwrap();
}
