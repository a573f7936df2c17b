//! What only a database file has: a lock by another process, a journal beside it.

use hub_api::store::StoreError;

use super::*;

#[tokio::test]
async fn a_locked_database_is_told_as_passing_and_all_is_well_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.db");
    let options = StoreOptions {
        patience: Duration::from_millis(400),
        ..StoreOptions::at(&path)
    };
    let hook = Box::new(|entries: &[LoggedEntry]| vec![0; entries.len()]);
    let (store, _writer) = Store::open(options, hook).await.unwrap();
    let mut other = SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let refused = store.append(plain(1, "E")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(refused.is_transient());
    assert_eq!(
        store.stream_state(&stream(1)).await.unwrap().head,
        0,
        "reads go on"
    );
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(
        appended(store.append(plain(1, "E")).await.unwrap()).sequence,
        1
    );
}

#[tokio::test]
async fn what_another_process_wrote_is_seen_when_it_is_in_the_way() {
    let db = open().await;
    let first = appended(db.append(plain(1, "E")).await);
    let Place::File(folder) = &db.place else {
        panic!("this is a file");
    };
    let mut other = SqliteConnectOptions::new()
        .filename(folder.path().join("hub.db"))
        .connect()
        .await
        .unwrap();
    let entry = "INSERT INTO log (id, stream, sequence, event, payload, created_at)
        SELECT id + 1, stream, sequence + 1, event, payload, created_at FROM log;
        UPDATE streams SET head = 2; UPDATE store SET last_notification = last_notification + 1";
    sqlx::raw_sql(entry).execute(&mut other).await.unwrap();
    let next = appended(db.append(plain(1, "E")).await);
    assert_eq!(next.sequence, 3);
    assert_eq!(next.notification_id, first.notification_id + 2);
    // It wrote to another stream, and what it wrote was trimmed.
    let passed = "UPDATE store SET last_notification = last_notification + 7";
    sqlx::raw_sql(passed).execute(&mut other).await.unwrap();
    let last = appended(db.append(plain(1, "E")).await);
    assert_eq!(last.sequence, 4);
    assert_eq!(last.notification_id, next.notification_id + 8);
}

#[tokio::test]
async fn closing_folds_the_journal_into_the_file() {
    let db = open().await;
    db.append(plain(1, "E")).await;
    let Place::File(folder) = &db.place else {
        panic!("this is a file");
    };
    let journal = folder.path().join("hub.db-wal");
    let has_content = || journal.metadata().is_ok_and(|file| file.len() > 0);
    assert!(has_content());
    db.store.close().await;
    assert!(!has_content());
}
