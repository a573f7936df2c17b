//! The notification log: sequences, pages, idempotency, confirmations, retention.

use hub_api::{
    explain::explain,
    store::{Append, Confirmation, Handed, ReceiptSource, Retention, StreamState},
};

use super::*;

#[tokio::test]
async fn each_stream_counts_from_one_and_ids_are_unique_over_all() {
    let db = open().await;
    let a = appended(db.append(plain(1, "A")).await);
    let b = appended(db.append(plain(2, "B")).await);
    let c = appended(db.append(plain(1, "C")).await);
    assert_eq!((a.sequence, b.sequence, c.sequence), (1, 1, 2));
    assert!(a.notification_id < b.notification_id && b.notification_id < c.notification_id);
    assert_eq!(c.connections, 2, "what the hook returned for it");
}

#[tokio::test]
async fn entries_come_in_pages_with_where_the_stream_stands() {
    let db = open().await;
    for n in 0..5 {
        db.append(NewNotification {
            analysis_id: Some(n),
            ..plain(7, "E")
        })
        .await;
    }
    let page = db.store.entries(&stream(7), 2, 2).await.unwrap();
    let found: Vec<_> = page
        .entries
        .iter()
        .map(|entry| (entry.sequence, entry.analysis_id))
        .collect();
    assert_eq!(found, [(3, Some(2)), (4, Some(3))]);
    assert_eq!(&*page.entries[0].payload, r#"{"n":1}"#);
    assert_eq!((page.state.head, page.state.oldest), (5, 1));
    assert!(page.complete_after(2));
    let end = db.store.entries(&stream(7), 5, 2).await.unwrap();
    assert_eq!((end.entries.len(), end.state.head), (0, 5));
    let nobody = db.store.entries(&stream(8), 0, 2).await.unwrap();
    assert_eq!((nobody.entries.len(), nobody.state.head), (0, 0));
}

#[tokio::test]
async fn a_repeated_notification_gets_the_first_answer_and_another_body_conflicts() {
    let db = open().await;
    let first = appended(db.append(keyed(1, "E", "k", "a")).await);
    let again = db.append(keyed(1, "E", "k", "a")).await;
    assert_eq!(
        again,
        Append::Repeated(Appended {
            connections: 0,
            ..first
        })
    );
    assert_eq!(db.append(keyed(1, "E", "k", "b")).await, Append::Conflict);
    let db = db.reopen().await;
    let after = db.append(keyed(1, "E", "k", "a")).await;
    assert_eq!(
        after,
        Append::Repeated(Appended {
            connections: 0,
            ..first
        })
    );
    assert_eq!(db.head(1).await, 1);
    assert!(db.delivered().is_empty(), "a repeat is not delivered again");
}

#[tokio::test]
async fn the_same_key_at_once_is_appended_once() {
    let db = open().await;
    let appends = (0..100).map(|_| db.store.append(keyed(1, "E", "k", "a")));
    let answers = futures_util::future::join_all(appends).await;
    let new = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Append::Appended(_))))
        .count();
    let first = |answer: &Append| match answer {
        Append::Appended(first) | Append::Repeated(first) => first.sequence,
        other => panic!("{other:?}"),
    };
    assert_eq!(new, 1);
    assert!(
        answers
            .iter()
            .all(|answer| first(answer.as_ref().unwrap()) == 1)
    );
    assert_eq!(db.delivered().len(), 1);
}

#[tokio::test]
async fn confirmations_count_at_once_and_are_written_later() {
    let db = open().await;
    for _ in 0..3 {
        db.append(plain(1, "E")).await;
    }
    let confirm = |sequence| {
        let (source, at) = (ReceiptSource::Pong, START);
        db.store.confirm(vec![Confirmation {
            stream: stream(1),
            sequence,
            source,
            at,
        }]);
    };
    confirm(2);
    assert_eq!(
        db.store.stream_state(&stream(1)).await.unwrap().confirmed,
        2
    );
    confirm(1);
    assert_eq!(
        db.store.stream_state(&stream(1)).await.unwrap().confirmed,
        2,
        "it only grows"
    );
    confirm(99);
    let page = db.store.entries(&stream(1), 0, 10).await.unwrap();
    assert_eq!(page.state.confirmed, 3, "it never passes the head");
    let db = db.reopen().await;
    let state = db.store.stream_state(&stream(1)).await.unwrap();
    assert_eq!((state.confirmed, state.acknowledged), (3, 0));
}

#[tokio::test]
async fn a_confirmation_of_a_stream_without_entries_changes_nothing() {
    let db = open().await;
    let (source, at) = (ReceiptSource::Poll, START);
    db.store.confirm(vec![Confirmation {
        stream: stream(1),
        sequence: 5,
        source,
        at,
    }]);
    let db = db.reopen().await;
    assert_eq!(appended(db.append(plain(1, "E")).await).sequence, 1);
    assert_eq!(
        db.store.stream_state(&stream(1)).await.unwrap().confirmed,
        0
    );
}

#[tokio::test]
async fn an_acknowledgement_only_grows_never_passes_the_head_and_confirms() {
    let db = open().await;
    for _ in 0..4 {
        db.append(plain(1, "E")).await;
    }
    let marks = |state: StreamState| (state.acknowledged, state.confirmed, state.unread());
    let acknowledge =
        async |sequence| marks(db.store.acknowledge(&stream(1), sequence).await.unwrap());
    assert_eq!(acknowledge(3).await, (3, 3, 1));
    assert_eq!(acknowledge(1).await, (3, 3, 1));
    assert_eq!(acknowledge(i64::MAX).await, (4, 4, 0));
    let nobody = db.store.acknowledge(&stream(2), 9).await.unwrap();
    assert_eq!(marks(nobody), (0, 0, 0));
    assert_eq!(appended(db.append(plain(2, "E")).await).sequence, 1);
}

#[tokio::test]
async fn a_database_made_anew_has_another_epoch_and_a_reopened_one_the_same() {
    let db = open().await;
    let epoch = db.store.epoch().to_owned();
    let db = db.reopen().await;
    assert_eq!(db.store.epoch(), epoch);
    assert_ne!(open().await.store.epoch(), epoch);
}

#[tokio::test]
async fn what_is_purged_is_named_missing_and_sequences_go_on() {
    let db = open().await;
    for _ in 0..3 {
        db.append(keyed_by_count(&db).await).await;
    }
    db.clock.advance(seconds(3600));
    db.append(plain(1, "E")).await;
    let retention = |hours: u64, batch| Retention {
        idempotency: seconds(1),
        log: seconds(hours * 3600),
        batch,
        ..Retention::default()
    };
    assert_eq!(
        db.store.purge(retention(2, 10)).await.unwrap().log_entries,
        0
    );
    db.clock.advance(seconds(1));
    let first = db.store.purge(retention(1, 2)).await.unwrap();
    assert_eq!(
        (first.log_entries, first.idempotency_keys, first.more),
        (2, 0, true)
    );
    let second = db.store.purge(retention(1, 2)).await.unwrap();
    assert_eq!((second.log_entries, second.more), (1, false));
    let page = db.store.entries(&stream(1), 0, 10).await.unwrap();
    assert_eq!(
        page.entries
            .iter()
            .map(|entry| entry.sequence)
            .collect::<Vec<_>>(),
        [4]
    );
    assert_eq!((page.state.oldest, page.state.unread()), (4, 1));
    assert!(!page.complete_after(2) && page.complete_after(3));
    assert_eq!(appended(db.append(plain(1, "E")).await).sequence, 5);
    db.clock.advance(seconds(24 * 3600));
    let keys = db.store.purge(retention(1000, 10)).await.unwrap();
    assert_eq!(
        keys.idempotency_keys, 3,
        "keys are kept for a day whatever is asked for"
    );
}

#[tokio::test]
async fn timelines_are_kept_as_long_as_the_log_and_repeat_nothing_without_end() {
    let db = open().await;
    let id = db.upload(42).await;
    let lease = db.lease().await;
    let end = appended(db.append(completed(42, &lease)).await);
    let mut counts = Vec::new();
    let mut db = db;
    for _ in 0..3 {
        let again = Handed {
            stream: stream(42),
            analysis_id: Some(id),
            sequence: end.sequence,
            connections: 1,
            at: db.clock.now(),
        };
        db.store.record_handed(vec![again; 25]);
        db = db.reopen().await;
        let timeline = explain(&db.store, &UserId::from(42), id).await.unwrap();
        let text = timeline.to_string();
        counts.push(text.lines().filter(|it| it.contains("  handed  ")).count());
    }
    assert!(counts[0] >= 25 && counts[2] == counts[0], "{counts:?}");
    db.clock.advance(seconds(3600));
    let retention = Retention {
        log: seconds(3600),
        ..Retention::default()
    };
    assert_eq!(db.store.purge(retention).await.unwrap().timeline_lines, 0);
    db.clock.advance(seconds(1));
    assert!(db.store.purge(retention).await.unwrap().timeline_lines > 3);
}

async fn keyed_by_count(db: &Db) -> NewNotification {
    let key = format!("key-{}", db.head(1).await);
    keyed(1, "E", &key, "a")
}
