//! Many writers at once: no holes, one order, one bad part fails alone, nothing hangs.

use std::collections::HashMap;

use hub_api::store::{Append, StoreError};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_appends_leave_no_holes_and_reach_the_hook_in_order() {
    let db = open().await;
    let writers = (0..40).map(|writer| {
        let store = db.store.clone();
        tokio::spawn(async move {
            for n in 0..50 {
                let user = (writer + n) % 13;
                appended(store.append(plain(user, "E")).await.unwrap());
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    let mut expected: HashMap<String, i64> = HashMap::new();
    let mut last_id = 0;
    for entry in db.delivered() {
        let next = expected.entry(entry.stream.to_string()).or_default();
        *next += 1;
        assert_eq!(entry.sequence, *next, "{}", entry.stream);
        assert!(entry.notification_id > last_id);
        last_id = entry.notification_id;
    }
    assert_eq!(expected.values().sum::<i64>(), 2000);
    for user in 0..13 {
        let logged = db.logged(user).await;
        let sequences: Vec<i64> = logged.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, (1..=db.head(user).await).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_failing_entry_fails_alone() {
    let db = open().await;
    db.sabotage(
        "CREATE TRIGGER refuse BEFORE INSERT ON log WHEN NEW.event = 'Poison'
         BEGIN SELECT RAISE(ABORT, 'refused'); END",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON log
         FOR EACH ROW WHEN (NEW.event = 'Poison') EXECUTE FUNCTION refuse()",
    )
    .await;
    let lone = async {
        let first = db.upload(7).await;
        assert!(db.upload(7).await > first);
    };
    let appends = (0..100).map(|n| {
        let event = if n % 10 == 3 { "Poison" } else { "Good" };
        db.store.append(plain(n % 4, event))
    });
    let (answers, ()) = tokio::join!(futures_util::future::join_all(appends), lone);
    for (n, answer) in answers.iter().enumerate() {
        match answer {
            Ok(Append::Appended(_)) => assert_ne!(n % 10, 3),
            Err(error) => {
                assert_eq!(n % 10, 3, "{error}");
                assert!(!error.is_transient());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(db.delivered().len(), 90);
    for user in 0..4 {
        let sequences: Vec<i64> = db.logged(user).await.iter().map(|(n, _)| *n).collect();
        assert_eq!(sequences, (1..=sequences.len() as i64).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn closing_writes_what_waits_and_refuses_what_comes_later() {
    let Db {
        store,
        writer,
        place,
        clock,
        ..
    } = open().await;
    let waiting: Vec<_> = (0..500)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.append(plain(n % 3, "E")).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    writer.await.unwrap();
    let mut accepted = 0;
    for answer in waiting {
        match answer.await.unwrap() {
            Ok(_) => accepted += 1,
            Err(error) => assert!(matches!(error, StoreError::Closed), "{error}"),
        }
    }
    assert!(matches!(
        store.append(plain(1, "E")).await,
        Err(StoreError::Closed)
    ));
    assert!(!store.health().await.unwrap().writer_alive);
    let (store, _writer, _) = open_at(&place, &clock).await;
    let mut heads = 0;
    for user in 0..3 {
        heads += store.stream_state(&stream(user)).await.unwrap().head;
    }
    assert_eq!(heads, accepted);
}
