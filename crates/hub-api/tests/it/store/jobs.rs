//! Leases, fencing, expiry, attempts, exactly one end.

use hub_api::store::{Append, Beat, FAILED_EVENT, Happening, Retried};
use shared_dto::analysis::{AnalysisStatus, Progress};

use super::*;

#[tokio::test]
async fn jobs_are_leased_oldest_first_and_once() {
    let db = open().await;
    let mut ids = Vec::new();
    for user in 0..5 {
        ids.push(db.upload(user).await);
        db.clock.advance(seconds(1));
    }
    let first = db.store.lease_jobs("a", 2, LEASE).await.unwrap();
    let rest = db.store.lease_jobs("b", 10, LEASE).await.unwrap();
    let analyses: Vec<i64> = first
        .iter()
        .chain(&rest)
        .map(|lease| lease.analysis_id)
        .collect();
    assert_eq!(analyses, ids);
    let tokens: std::collections::HashSet<_> = first
        .iter()
        .chain(&rest)
        .map(|lease| &lease.token)
        .collect();
    assert_eq!(tokens.len(), 5);
    assert!(db.try_lease().await.is_none());
}

#[tokio::test]
async fn a_result_ends_the_analysis_and_tells_its_owner() {
    let db = open().await;
    let id = db.upload(42).await;
    let lease = db.lease().await;
    let first = appended(db.append(completed(42, &lease)).await);
    let analysis = db
        .store
        .analysis_of(&UserId::from(42), id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(analysis.status, AnalysisStatus::Completed);
    assert_eq!(analysis.result.unwrap().overall_health_score, Some(81));
    assert_eq!(analysis.completed_at, Some(START));
    let entry = &db.store.entries(&stream(42), 0, 10).await.unwrap().entries[0];
    assert_eq!(
        (entry.notification_id, entry.sequence),
        (first.notification_id, 1)
    );
    assert_eq!(entry.analysis_id, Some(id), "the job's analysis");
    assert_eq!(db.delivered(), std::slice::from_ref(entry));
    assert_eq!(db.store.queue_stats().await.unwrap(), Default::default());
}

#[tokio::test]
async fn an_analysis_ends_once_however_often_its_result_is_posted() {
    let db = open().await;
    db.upload(42).await;
    let lease = db.lease().await;
    let posts = (0..50).map(|n| {
        let new = if n % 2 == 0 {
            completed(42, &lease)
        } else {
            failed(42, &lease)
        };
        db.store.append(new)
    });
    let answers = futures_util::future::join_all(posts).await;
    let new = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Append::Appended(_))))
        .count();
    assert_eq!(new, 1);
    for answer in answers {
        match answer.unwrap() {
            Append::Appended(first) | Append::Repeated(first) => assert_eq!(first.sequence, 1),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(db.logged(42).await.len(), 1);
}

#[tokio::test]
async fn results_of_strangers_and_of_dead_attempts_are_refused() {
    let db = open().await;
    let id = db.upload(42).await;
    let first = db.lease().await;
    assert_eq!(db.append(completed(43, &first)).await, Append::NotOwner);
    let unknown = Lease {
        job_id: first.job_id + 1,
        ..first.clone()
    };
    assert_eq!(db.append(completed(42, &unknown)).await, Append::UnknownJob);
    db.clock.advance(LEASE);
    assert_eq!(db.store.expire(10).await.unwrap().requeued, 1);
    assert_eq!(db.append(completed(42, &first)).await, Append::StaleAttempt);
    db.clock.advance(seconds(2));
    let second = db.lease().await;
    assert_eq!(
        (second.attempt, second.idempotency_key.as_str()),
        (2, &*first.idempotency_key)
    );
    assert_ne!(second.token, first.token);
    assert_eq!(db.append(completed(42, &first)).await, Append::StaleAttempt);
    assert_eq!(db.store.heartbeat(beat(&first)).await.unwrap(), Beat::Stale);
    assert_eq!(
        db.store.retry(give_back(&first)).await.unwrap(),
        Retried::Stale
    );
    appended(db.append(completed(42, &second)).await);
    assert_eq!(db.append(failed(42, &first)).await, Append::StaleAttempt);
    assert_eq!(
        db.logged(42).await,
        [(1, "ReceiveAnalysisCompleted".to_owned())]
    );
    let analysis = db
        .store
        .analysis_of(&UserId::from(42), id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(analysis.status, AnalysisStatus::Completed);
}

#[tokio::test]
async fn heartbeats_keep_a_lease_and_its_progress() {
    let db = open().await;
    let id = db.upload(42).await;
    let lease = db.lease().await;
    for percent in [10, 20, 90] {
        db.clock.advance(seconds(20));
        let stage = if percent < 50 {
            "segmenting"
        } else {
            "measuring"
        };
        let progress = Progress {
            percent,
            stage: stage.into(),
            message: "At it".into(),
        };
        let beat = Heartbeat {
            progress: Some(progress),
            ..beat(&lease)
        };
        let Beat::Alive(alive) = db.store.heartbeat(beat).await.unwrap() else {
            panic!()
        };
        assert_eq!((alive.user, alive.analysis_id), (UserId::from(42), id));
        assert_eq!(alive.lease_until, db.clock.now() + LEASE);
        assert_eq!(db.store.expire(10).await.unwrap(), Default::default());
    }
    let history = db
        .store
        .history_of(&UserId::from(42), id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(history.analysis.progress.unwrap().percent, 90);
    let stages = history
        .entries
        .iter()
        .filter(|entry| entry.kind == Happening::Progress)
        .count();
    assert_eq!(stages, 2, "a stage is told once");
    assert_eq!(db.logged(42).await, [], "progress is never logged");
    let unknown = Heartbeat {
        job_id: 99,
        ..beat(&lease)
    };
    assert_eq!(db.store.heartbeat(unknown).await.unwrap(), Beat::Unknown);
}

#[tokio::test]
async fn silent_workers_cost_attempts_and_the_last_one_fails_the_analysis() {
    let db = open().await;
    let id = db.upload(42).await;
    for attempt in 1..=3 {
        let lease = db.lease().await;
        assert_eq!(lease.attempt, attempt);
        assert_eq!(db.store.next_due().await.unwrap(), Some(lease.lease_until));
        db.clock.advance(LEASE);
        let expired = db.store.expire(10).await.unwrap();
        assert_eq!(
            (expired.requeued, expired.failed),
            if attempt < 3 { (1, 0) } else { (0, 1) }
        );
        if attempt < 3 {
            let wait = seconds(1 << attempt);
            assert_eq!(
                db.store.next_due().await.unwrap(),
                Some(db.clock.now() + wait)
            );
            assert!(db.try_lease().await.is_none(), "the back-off is kept");
            db.clock.advance(wait);
        }
    }
    assert_eq!(db.store.next_due().await.unwrap(), None);
    assert_eq!(db.logged(42).await, [(1, FAILED_EVENT.to_owned())]);
    assert_eq!(
        db.delivered().len(),
        1,
        "the hub's own failures take the same way"
    );
    let payload: serde_json::Value = serde_json::from_str(&db.delivered()[0].payload).unwrap();
    assert_eq!(payload["analysisId"], id);
    assert_eq!(payload["userId"], 42);
    assert_eq!(payload["status"], "Failed");
    assert_eq!(
        payload["imageUrl"],
        format!("/api/v1/plantanalyses/{id}/image")
    );
    assert_eq!(payload.get("sequence"), None);
    let analysis = db
        .store
        .analysis_of(&UserId::from(42), id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(analysis.status, AnalysisStatus::Failed);
    assert_eq!(
        analysis.error_message.as_deref(),
        payload["errorMessage"].as_str()
    );
}

#[tokio::test]
async fn retries_wait_longer_each_time_and_end_with_the_workers_words() {
    let db = open().await;
    let id = db.upload(42).await;
    let first = db.lease().await;
    let scheduled = Retried::Scheduled {
        available_at: START + seconds(2),
    };
    assert_eq!(db.store.retry(give_back(&first)).await.unwrap(), scheduled);
    let again = db.store.retry(give_back(&first)).await.unwrap();
    let available_at = Some(START + seconds(2));
    assert_eq!(again, Retried::Repeated { available_at }, "asked again");
    db.clock.advance(seconds(2));
    let second = db.lease().await;
    let patient = Retry {
        retry_after: Some(seconds(60)),
        ..give_back(&second)
    };
    let scheduled = Retried::Scheduled {
        available_at: db.clock.now() + seconds(60),
    };
    assert_eq!(db.store.retry(patient).await.unwrap(), scheduled);
    db.clock.advance(seconds(60));
    let third = db.lease().await;
    let exhausted = db.store.retry(give_back(&third)).await.unwrap();
    assert!(matches!(
        exhausted,
        Retried::Exhausted(Appended { sequence: 1, .. })
    ));
    let again = db.store.retry(give_back(&third)).await.unwrap();
    assert_eq!(again, Retried::Repeated { available_at: None });
    let analysis = db
        .store
        .analysis_of(&UserId::from(42), id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        analysis.error_message.unwrap(),
        "The analysis service did not answer."
    );
    assert_eq!(db.logged(42).await, [(1, FAILED_EVENT.to_owned())]);
}

#[tokio::test]
async fn a_job_that_is_handed_back_unused_costs_no_attempt() {
    let db = open().await;
    db.upload(42).await;
    for _ in 0..5 {
        let lease = db.lease().await;
        assert_eq!(lease.attempt, 1);
        let back = Retry {
            hand_back: true,
            ..give_back(&lease)
        };
        let scheduled = Retried::Scheduled {
            available_at: db.clock.now(),
        };
        assert_eq!(db.store.retry(back).await.unwrap(), scheduled);
    }
}

#[tokio::test]
async fn an_overdue_analysis_fails_whatever_its_state() {
    let db = open().await;
    for user in [1, 2] {
        db.upload(user).await;
    }
    let kept = db.lease().await;
    for _ in 0..200 {
        db.clock.advance(seconds(20));
        db.store.heartbeat(beat(&kept)).await.unwrap();
    }
    let expired = db.store.expire(10).await.unwrap();
    assert_eq!((expired.requeued, expired.failed), (0, 2));
    assert_eq!(db.append(completed(1, &kept)).await, Append::StaleAttempt);
    for user in [1, 2] {
        assert_eq!(db.logged(user).await, [(1, FAILED_EVENT.to_owned())]);
    }
}

#[tokio::test]
async fn expiry_is_bounded_and_says_that_there_is_more() {
    let db = open().await;
    for user in 0..5 {
        db.upload(user).await;
    }
    db.store.lease_jobs("a", 5, LEASE).await.unwrap();
    db.clock.advance(LEASE);
    let mut rounds = Vec::new();
    loop {
        let expired = db.store.expire(2).await.unwrap();
        rounds.push(expired.requeued);
        if !expired.more {
            break;
        }
    }
    assert_eq!(rounds, [2, 2, 1]);
}

#[tokio::test]
async fn whoever_waits_for_jobs_is_told() {
    let db = open().await;
    let mut changed = db.store.jobs_changed();
    changed.mark_unchanged();
    db.upload(42).await;
    assert!(changed.has_changed().unwrap());
    changed.mark_unchanged();
    db.append(plain(42, "E")).await;
    assert!(
        !changed.has_changed().unwrap(),
        "an append makes no job ready"
    );
    let lease = db.lease().await;
    changed.mark_unchanged();
    db.store.retry(give_back(&lease)).await.unwrap();
    assert!(changed.has_changed().unwrap());
}

#[tokio::test]
async fn the_queue_tells_how_it_stands() {
    let db = open().await;
    for user in 0..4 {
        db.upload(user).await;
    }
    db.clock.advance(seconds(5));
    let leases = db.store.lease_jobs("a", 3, LEASE).await.unwrap();
    let park = Heartbeat {
        park: Some(seconds(600)),
        ..beat(&leases[0])
    };
    db.store.heartbeat(park).await.unwrap();
    db.store.retry(give_back(&leases[1])).await.unwrap();
    let stats = db.store.queue_stats().await.unwrap();
    assert_eq!(
        (stats.ready, stats.waiting, stats.leased, stats.parked),
        (1, 1, 1, 1)
    );
    assert_eq!(
        (stats.oldest_ready, stats.oldest_open),
        (seconds(5), seconds(5))
    );
}

#[tokio::test]
async fn an_operator_sees_who_works_and_what_went_wrong() {
    let db = open().await;
    let mut ids = Vec::new();
    for user in 0..4 {
        ids.push(db.upload(user).await);
    }
    assert_eq!(db.store.setbacks(10).await.unwrap(), []);
    let leases = db.store.lease_jobs("a", 3, LEASE).await.unwrap();
    db.store.lease_jobs("b", 1, LEASE).await.unwrap();
    let park = Heartbeat {
        park: Some(seconds(600)),
        ..beat(&leases[0])
    };
    db.store.heartbeat(park).await.unwrap();
    db.clock.advance(seconds(1));
    db.store.retry(give_back(&leases[1])).await.unwrap();
    let holders = db.store.holders().await.unwrap();
    let held: Vec<_> = holders
        .iter()
        .map(|holder| (holder.worker.as_str(), holder.leased, holder.parked))
        .collect();
    assert_eq!(held, [("a", 1, 1), ("b", 1, 0)]);

    // The workers of both leases that are left go silent.
    db.clock.advance(LEASE + seconds(1));
    assert_eq!(db.store.expire(10).await.unwrap().requeued, 2);
    let setbacks = db.store.setbacks(10).await.unwrap();
    let kinds: Vec<_> = setbacks.iter().map(|setback| setback.entry.kind).collect();
    let (expired, retried) = (Happening::LeaseExpired, Happening::Retried);
    assert_eq!(kinds, [expired, expired, retried]);
    let first = &setbacks[2];
    assert_eq!(first.analysis_id, leases[1].analysis_id);
    assert_eq!(first.entry.at, START + seconds(1));
    assert!(first.entry.detail.contains("502 from n8n"), "{first:?}");
    assert_eq!(db.store.setbacks(1).await.unwrap().len(), 1);
    let parked = db.store.holders().await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].leased, parked[0].parked), (0, 1));
}
