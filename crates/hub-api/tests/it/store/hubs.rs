//! Several hubs on one database.

use std::collections::HashMap;

use futures_util::future::join_all;
use hub_api::store::{Append, FAILED_EVENT, Retention};

use super::*;

/// Two hubs on one database, with a clock that they share.
async fn two() -> (Db, Db) {
    let first = open().await;
    let (store, writer, delivered) = open_at(&first.place, &first.clock).await;
    let second = Db {
        store,
        writer,
        delivered,
        place: first.place.clone(),
        clock: first.clock.clone(),
    };
    (first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_append_to_the_same_streams_without_holes_and_in_order() {
    let (a, b) = two().await;
    let writers = (0..30).map(|writer| {
        let store = [&a, &b][writer % 2].store.clone();
        tokio::spawn(async move {
            for n in 0..40 {
                let user = i64::try_from(writer + n).unwrap() % 7;
                appended(store.append(plain(user, "E")).await.unwrap());
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    let mut total = 0;
    for user in 0..7 {
        let logged = a.logged(user).await;
        let sequences: Vec<i64> = logged.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, (1..=a.head(user).await).collect::<Vec<_>>());
        total += sequences.len();
    }
    assert_eq!(total, 1200);
    let delivered = [a.delivered(), b.delivered()];
    assert_eq!(delivered.iter().map(Vec::len).sum::<usize>(), 1200);
    for entries in delivered {
        let mut last: HashMap<Stream, (i64, i64)> = HashMap::new();
        for entry in entries {
            let place = (entry.sequence, entry.notification_id);
            let before = last.insert(entry.stream, place).unwrap_or_default();
            assert!(before.0 < place.0 && before.1 < place.1);
        }
    }
}

#[tokio::test]
async fn a_key_that_comes_to_both_at_once_is_appended_once() {
    let (a, b) = two().await;
    for round in 0..20 {
        let key = format!("key-{round}");
        let append = |db: &Db| {
            let (store, new) = (db.store.clone(), keyed(1, "E", &key, "a"));
            async move { store.append(new).await.unwrap() }
        };
        let answers = join_all([append(&a), append(&b), append(&a), append(&b)]).await;
        let mut new = 0;
        for answer in answers {
            match answer {
                Append::Appended(first) => {
                    new += 1;
                    assert_eq!(first.sequence, round + 1);
                }
                Append::Repeated(first) => assert_eq!(first.sequence, round + 1),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(new, 1);
    }
    assert_eq!(a.head(1).await, 20);
}

#[tokio::test]
async fn an_upload_that_comes_to_both_at_once_makes_one_analysis() {
    let (a, b) = two().await;
    let upload = |db: &Db| {
        let new = NewAnalysis {
            idempotency: Some(idempotency("upload:user:42", "key-1", "a")),
            ..upload_of(42)
        };
        let store = db.store.clone();
        async move { store.create_analysis(new).await.unwrap() }
    };
    let answers = join_all([upload(&a), upload(&b), upload(&a), upload(&b)]).await;
    let created = answers
        .iter()
        .filter(|answer| matches!(answer, Created::Created { .. }))
        .count();
    assert_eq!(created, 1, "{answers:?}");
    assert_eq!(a.store.queue_stats().await.unwrap().ready, 1);
}

#[tokio::test]
async fn a_hub_that_starts_beside_others_lengthens_no_lease() {
    let (a, _b) = two().await;
    a.upload(42).await;
    a.lease().await;
    let _third = open_at(&a.place, &a.clock).await;
    a.clock.advance(LEASE + seconds(1));
    let expired = a.store.expire(10).await.unwrap();
    assert_eq!((expired.requeued, expired.failed), (1, 0));
}

#[tokio::test]
async fn a_job_is_leased_by_one_of_them() {
    let (a, b) = two().await;
    join_all((0..40).map(|user| a.store.create_analysis(upload_of(user)))).await;
    let lease = |db: &Db| {
        let store = db.store.clone();
        async move {
            let mut jobs = Vec::new();
            loop {
                let leases = store.lease_jobs("worker", 3, LEASE).await.unwrap();
                if leases.is_empty() {
                    return jobs;
                }
                jobs.extend(leases.into_iter().map(|lease| lease.job_id));
            }
        }
    };
    let (mut jobs, more) = tokio::join!(lease(&a), lease(&b));
    jobs.extend(more);
    jobs.sort_unstable();
    jobs.dedup();
    assert_eq!(jobs.len(), 40);
}

#[tokio::test]
async fn an_analysis_ends_once_though_both_are_told_its_result() {
    let (a, b) = two().await;
    a.upload(42).await;
    let lease = a.lease().await;
    let posts = (0..20).map(|n| {
        let new = match n % 2 {
            0 => completed(42, &lease),
            _ => failed(42, &lease),
        };
        [&a, &b][n % 2].store.append(new)
    });
    let answers = join_all(posts).await;
    let new = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Append::Appended(_))))
        .count();
    assert_eq!(new, 1, "{answers:?}");
    assert_eq!(a.logged(42).await.len(), 1);
}

#[tokio::test]
async fn what_is_due_is_ended_by_one_of_them() {
    let (a, b) = two().await;
    for user in 0..30 {
        a.upload(user % 3).await;
    }
    for _ in 0..3 {
        a.clock.advance(seconds(20));
        let leases = a.store.lease_jobs("worker", 30, LEASE).await.unwrap();
        assert_eq!(leases.len(), 30);
        a.clock.advance(LEASE);
        let (mut ended, mut rounds) = (0, 0);
        while ended < 30 {
            let (x, y) = tokio::join!(a.store.expire(8), b.store.expire(8));
            let (x, y) = (x.unwrap(), y.unwrap());
            ended += x.requeued + x.failed + y.requeued + y.failed;
            rounds += 1;
            assert!(rounds < 100, "{ended} ended");
        }
        assert_eq!(ended, 30);
    }
    for user in 0..3 {
        let failed: Vec<_> = (1..=10).map(|n| (n, FAILED_EVENT.to_owned())).collect();
        assert_eq!(b.logged(user).await, failed);
    }
}

#[tokio::test]
async fn what_is_old_is_deleted_once_whoever_does_it() {
    let (a, b) = two().await;
    for n in 0..60 {
        a.append(plain(n % 4, "E")).await;
    }
    a.clock.advance(seconds(7200));
    let retention = Retention {
        log: seconds(3600),
        batch: 7,
        ..Retention::default()
    };
    let purge = |db: &Db| {
        let store = db.store.clone();
        async move { store.purge(retention).await.unwrap().log_entries }
    };
    let mut deleted = 0;
    while deleted < 60 {
        let (x, y) = tokio::join!(purge(&a), purge(&b));
        assert!(x + y > 0, "one of them gets on");
        deleted += x + y;
    }
    assert_eq!(deleted, 60);
    for user in 0..4 {
        let state = b.store.stream_state(&stream(user)).await.unwrap();
        assert_eq!((state.oldest, state.head), (16, 15));
    }
}

#[tokio::test]
async fn one_hears_of_an_upload_at_the_other() {
    let (a, b) = two().await;
    let mut changed = b.store.jobs_changed();
    changed.mark_unchanged();
    a.upload(42).await;
    let heard = tokio::time::timeout(seconds(30), changed.changed()).await;
    heard.unwrap().unwrap();
}

#[tokio::test]
async fn they_may_start_together_on_an_empty_database() {
    let place = place().await;
    let clock = Clock::manual(START);
    let opened = join_all((0..4).map(|_| open_at(&place, &clock))).await;
    let epochs: Vec<&str> = opened.iter().map(|(store, ..)| store.epoch()).collect();
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]));
}

#[tokio::test]
async fn many_confirmations_on_both_never_stand_in_the_way() {
    let (a, b) = two().await;
    let busy = |db: &Db, turn: usize| {
        let store = db.store.clone();
        async move {
            for n in 0..150 {
                let user = i64::try_from((n * (turn + 1) + turn) % 11).unwrap();
                let sequence = appended(store.append(plain(user, "E")).await.unwrap()).sequence;
                store.confirm(vec![hub_api::store::Confirmation {
                    stream: stream(user),
                    sequence,
                    source: hub_api::store::ReceiptSource::Pong,
                    at: START,
                }]);
                store.acknowledge(&stream(10 - user), 1).await.unwrap();
            }
        }
    };
    tokio::join!(busy(&a, 0), busy(&b, 1), busy(&a, 2), busy(&b, 3));
    a.store.close().await;
    b.store.close().await;
    for user in 0..11 {
        let state = a.store.stream_state(&stream(user)).await.unwrap();
        assert_eq!(state.confirmed, state.head, "user {user}");
    }
}
