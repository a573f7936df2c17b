//! What the broker is told of jobs, and jobs claimed one by one.

use hub_api::store::{
    Announcement, Buried, Claim, Claimed, DeadLetter, FAILED_EVENT, Happening, Retried,
};
use shared_dto::analysis::AnalysisStatus;

use super::*;

const HOLD: Duration = Duration::from_secs(15);

async fn take(db: &Db) -> Vec<Announcement> {
    db.store.take_announcements(10, HOLD).await.unwrap()
}

fn ids(taken: &[Announcement]) -> Vec<i64> {
    taken.iter().map(|job| job.job_id).collect()
}

fn claim(job_id: i64, token: &str) -> Claim {
    Claim {
        job_id,
        worker: "worker-a".into(),
        token: token.into(),
        lease: LEASE,
    }
}

async fn claimed(db: &Db, job_id: i64, token: &str) -> Lease {
    match db.store.claim_job(claim(job_id, token)).await.unwrap() {
        Claimed::Leased(lease) => *lease,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_readiness_of_a_job_is_announced_once() {
    let db = open().await;
    db.upload(1).await;
    db.clock.advance(seconds(1));
    db.upload(2).await;
    assert_eq!(db.store.next_announcement().await.unwrap(), Some(START));
    let first = take(&db).await;
    assert_eq!(ids(&first), [1, 2], "the longest ready first");
    assert_eq!(first[0].ready_at, START);
    assert!(take(&db).await.is_empty());
    db.store
        .announce_again(vec![1, 2], seconds(300))
        .await
        .unwrap();

    // An attempt that failed makes the job ready anew, after its back-off.
    let lease = claimed(&db, 1, "token-1").await;
    let retried = db.store.retry(give_back(&lease)).await.unwrap();
    let Retried::Scheduled { available_at } = retried else {
        panic!("{retried:?}");
    };
    assert!(take(&db).await.is_empty(), "not before its time");
    assert_eq!(
        db.store.next_announcement().await.unwrap(),
        Some(available_at)
    );
    db.clock.advance(seconds(2));
    let again = take(&db).await;
    assert_eq!(ids(&again), [1]);
    assert_eq!(again[0].ready_at, available_at);
}

#[tokio::test]
async fn what_was_not_announced_or_not_claimed_comes_again() {
    let db = open().await;
    db.upload(1).await;
    db.upload(2).await;
    take(&db).await;
    // One hub died before it announced them: another one gets them.
    db.clock.advance(HOLD);
    assert_eq!(ids(&take(&db).await), [1, 2]);
    // The broker refused one and has the other, which nobody claims.
    db.store.announce_again(vec![1], seconds(1)).await.unwrap();
    db.store
        .announce_again(vec![2], seconds(300))
        .await
        .unwrap();
    db.clock.advance(seconds(1));
    assert_eq!(ids(&take(&db).await), [1]);
    claimed(&db, 1, "token-1").await;
    db.clock.advance(seconds(299));
    assert_eq!(ids(&take(&db).await), [2]);
}

#[tokio::test]
async fn a_claim_is_repeated_with_its_token_and_refused_with_another() {
    let db = open().await;
    let id = db.upload(42).await;
    let lease = claimed(&db, 1, "token-1").await;
    assert_eq!((lease.analysis_id, lease.attempt), (id, 1));
    assert_eq!(lease.token, "token-1");
    // Its answer was lost: the same lease, no second attempt.
    let again = db.store.claim_job(claim(1, "token-1")).await.unwrap();
    assert_eq!(again, Claimed::Repeated(Box::new(lease.clone())));
    let other = db.store.claim_job(claim(1, "token-2")).await.unwrap();
    assert_eq!(other, Claimed::Held);
    assert!(db.try_lease().await.is_none());
    db.append(completed(42, &lease)).await;
    let ended = db.store.claim_job(claim(1, "token-1")).await.unwrap();
    assert_eq!(ended, Claimed::Ended);
    let unknown = db.store.claim_job(claim(99, "token-1")).await.unwrap();
    assert_eq!(unknown, Claimed::Unknown);
}

#[tokio::test]
async fn a_job_that_waits_for_its_next_attempt_cannot_be_claimed() {
    let db = open().await;
    db.upload(42).await;
    let lease = claimed(&db, 1, "token-1").await;
    db.store.retry(give_back(&lease)).await.unwrap();
    let early = db.store.claim_job(claim(1, "token-2")).await.unwrap();
    assert_eq!(early, Claimed::NotReady);
    db.clock.advance(seconds(2));
    assert_eq!(claimed(&db, 1, "token-2").await.attempt, 2);
}

#[tokio::test]
async fn a_dead_letter_ends_its_job_as_failed_once() {
    let db = open().await;
    let id = db.upload(42).await;
    let ready_at = take(&db).await[0].ready_at;
    let letter = DeadLetter {
        job_id: 1,
        ready_at: Some(ready_at),
        reason: "delivery_limit".into(),
    };
    let buried = db.store.bury(letter.clone()).await.unwrap();
    assert!(matches!(buried, Buried::Failed(told) if told.sequence == 1));
    assert_eq!(db.logged(42).await, [(1, FAILED_EVENT.to_owned())]);
    let history = db.store.history_of(&UserId::from(42), id).await.unwrap();
    let history = history.unwrap();
    assert_eq!(history.analysis.status, AnalysisStatus::Failed);
    let kinds: Vec<_> = history.entries.iter().map(|entry| entry.kind).collect();
    assert!(kinds.contains(&Happening::DeadLettered), "{kinds:?}");
    assert_eq!(db.store.bury(letter).await.unwrap(), Buried::Ended);
    assert_eq!(db.head(42).await, 1);
}

#[tokio::test]
async fn a_dead_letter_of_a_job_that_went_on_means_nothing() {
    let db = open().await;
    db.upload(42).await;
    let letter = |job_id| DeadLetter {
        job_id,
        ready_at: Some(START),
        reason: "delivery_limit".into(),
    };
    let lease = claimed(&db, 1, "token-1").await;
    let held = db.store.bury(letter(1)).await.unwrap();
    assert_eq!(held, Buried::Superseded);
    db.store.retry(give_back(&lease)).await.unwrap();
    let announced_anew = db.store.bury(letter(1)).await.unwrap();
    assert_eq!(announced_anew, Buried::Superseded);
    assert_eq!(db.store.bury(letter(9)).await.unwrap(), Buried::Unknown);
    assert_eq!(db.head(42).await, 0);
}
