//! Outside analysers: parking, their progress and their answers.

use hub_api::store::{Append, Beat, FAILED_EVENT, Replied, Retried};
use shared_dto::analysis::Progress;

use super::*;

async fn parked(db: &Db, lease: &Lease, park: u64) {
    let beat = Heartbeat {
        park: Some(seconds(park)),
        ..beat(lease)
    };
    assert!(matches!(
        db.store.heartbeat(beat).await.unwrap(),
        Beat::Alive(_)
    ));
}

async fn reply(db: &Db, lease: &Lease) -> Replied {
    db.store
        .outside_reply(lease.job_id, lease.attempt, r#"{"ok":1}"#.into())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_parked_job_waits_for_its_answer_and_is_then_mapped_without_a_new_attempt() {
    let db = open().await;
    db.upload(42).await;
    let lease = db.lease().await;
    parked(&db, &lease, 600).await;
    db.clock.advance(seconds(599));
    assert_eq!(db.store.expire(10).await.unwrap(), Default::default());
    assert!(db.try_lease().await.is_none());
    assert_eq!(reply(&db, &lease).await, Replied::Accepted);
    assert_eq!(reply(&db, &lease).await, Replied::AlreadyEnded);
    let mapping = db.lease().await;
    assert_eq!(
        (mapping.attempt, mapping.reply.as_deref()),
        (1, Some(r#"{"ok":1}"#))
    );
    assert_ne!(mapping.token, lease.token);
    assert_eq!(db.append(completed(42, &lease)).await, Append::StaleAttempt);
    appended(db.append(completed(42, &mapping)).await);
    assert_eq!(reply(&db, &lease).await, Replied::AlreadyEnded);
}

#[tokio::test]
async fn an_answer_that_overtakes_the_parking_is_not_waited_for() {
    let db = open().await;
    db.upload(42).await;
    let lease = db.lease().await;
    assert_eq!(reply(&db, &lease).await, Replied::Accepted);
    assert!(db.try_lease().await.is_none(), "its worker still has it");
    parked(&db, &lease, 600).await;
    let mapping = db.lease().await;
    assert_eq!((mapping.attempt, mapping.reply.is_some()), (1, true));
}

#[tokio::test]
async fn a_beat_that_comes_behind_the_parking_does_not_shorten_it() {
    let db = open().await;
    db.upload(42).await;
    let lease = db.lease().await;
    parked(&db, &lease, 600).await;
    let late = db.store.heartbeat(beat(&lease)).await.unwrap();
    assert!(matches!(late, Beat::Alive(_)));
    db.clock.advance(seconds(599));
    assert_eq!(db.store.expire(10).await.unwrap(), Default::default());
    assert_eq!(reply(&db, &lease).await, Replied::Accepted);
}

#[tokio::test]
async fn the_answer_to_an_attempt_that_was_handed_back_is_taken() {
    let db = open().await;
    db.upload(42).await;
    let lease = db.lease().await;
    let hand_back = Retry {
        hand_back: true,
        ..give_back(&lease)
    };
    db.store.retry(hand_back).await.unwrap();
    assert_eq!(reply(&db, &lease).await, Replied::Accepted);
    let mapping = db.lease().await;
    assert_eq!((mapping.attempt, mapping.reply.is_some()), (1, true));
    appended(db.append(completed(42, &mapping)).await);
}

#[tokio::test]
async fn progress_for_another_owner_changes_nothing() {
    let db = open().await;
    db.upload(42).await;
    let lease = db.lease().await;
    let of = |owner: i64| Heartbeat {
        owner: Some(UserId::from(owner)),
        ..beat(&lease)
    };
    db.clock.advance(seconds(10));
    assert_eq!(db.store.heartbeat(of(43)).await.unwrap(), Beat::NotOwner);
    let Beat::Alive(alive) = db.store.heartbeat(of(42)).await.unwrap() else {
        panic!("it is the owner's");
    };
    assert_eq!(alive.lease_until, db.clock.now() + LEASE);
    let stale = Heartbeat {
        token: "another".to_owned(),
        ..of(43)
    };
    assert_eq!(db.store.heartbeat(stale).await.unwrap(), Beat::Stale);
}

#[tokio::test]
async fn an_answer_saves_the_last_attempt_of_a_worker_that_died() {
    let db = open().await;
    db.upload(42).await;
    for _ in 1..3 {
        db.store.retry(give_back(&db.lease().await)).await.unwrap();
        db.clock.advance(seconds(8));
    }
    let last = db.lease().await;
    assert_eq!(last.attempt, 3);
    assert_eq!(reply(&db, &last).await, Replied::Accepted);
    db.clock.advance(LEASE);
    assert_eq!(db.store.expire(10).await.unwrap().requeued, 1);
    let mapping = db.lease().await;
    assert_eq!((mapping.attempt, mapping.reply.is_some()), (3, true));
    db.clock.advance(LEASE);
    assert_eq!(
        db.store.expire(10).await.unwrap().requeued,
        1,
        "mapping is tried again, too"
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_mapped_spends_its_attempt() {
    let db = open().await;
    db.upload(42).await;
    let lease = db.lease().await;
    parked(&db, &lease, 600).await;
    reply(&db, &lease).await;
    let mapping = db.lease().await;
    let retried = db.store.retry(give_back(&mapping)).await.unwrap();
    assert_eq!(
        retried,
        Retried::Scheduled {
            available_at: START + seconds(2)
        }
    );
    db.clock.advance(seconds(2));
    let second = db.lease().await;
    assert_eq!((second.attempt, second.reply), (2, None));
}

#[tokio::test]
async fn an_answer_that_kills_its_workers_ends_as_failed() {
    let db = open().await;
    db.upload(42).await;
    let lease = db.lease().await;
    parked(&db, &lease, 600).await;
    reply(&db, &lease).await;
    for _ in 0..3 {
        db.lease().await;
        db.clock.advance(LEASE);
        db.store.expire(10).await.unwrap();
        db.clock.advance(seconds(16));
    }
    assert_eq!(db.logged(42).await, [(1, FAILED_EVENT.to_owned())]);
}

#[tokio::test]
async fn parking_ends_and_the_late_answer_of_an_older_attempt_is_refused() {
    let db = open().await;
    db.upload(42).await;
    let lease = db.lease().await;
    parked(&db, &lease, 600).await;
    db.clock.advance(seconds(600));
    assert_eq!(db.store.expire(10).await.unwrap().requeued, 1);
    db.clock.advance(seconds(2));
    let second = db.lease().await;
    assert_eq!(second.attempt, 2);
    assert_eq!(reply(&db, &lease).await, Replied::Stale);
    let future = Lease {
        attempt: 3,
        ..second.clone()
    };
    assert_eq!(reply(&db, &future).await, Replied::Unknown);
    let unknown = Lease {
        job_id: 99,
        ..second
    };
    assert_eq!(reply(&db, &unknown).await, Replied::Unknown);
}

#[tokio::test]
async fn outside_progress_is_kept_and_lengthens_no_lease() {
    let db = open().await;
    let id = db.upload(42).await;
    let lease = db.lease().await;
    parked(&db, &lease, 600).await;
    db.clock.advance(seconds(100));
    let progress = Progress {
        percent: 40,
        stage: "model".into(),
        message: "Looking".into(),
    };
    let told = |attempt| {
        db.store
            .outside_progress(lease.job_id, attempt, progress.clone())
    };
    let Beat::Alive(alive) = told(1).await.unwrap() else {
        panic!()
    };
    assert_eq!(alive.lease_until, START + seconds(600));
    assert_eq!(told(2).await.unwrap(), Beat::Stale);
    let analysis = db
        .store
        .analysis_of(&UserId::from(42), id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(analysis.progress, Some(progress));
}
