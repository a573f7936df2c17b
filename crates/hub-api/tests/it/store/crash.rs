//! A process that dies: what was answered is there, and nothing is half there.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

/// The runtime is torn down in the middle of the work, with the store open
/// and writes under way: no close, no checkpoint.
#[test]
fn what_was_answered_before_a_crash_is_there_after_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let place = runtime.block_on(place());
    let clock = Clock::manual(START);
    let answered: Arc<[AtomicI64; 5]> = Arc::default();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let dying = builder.worker_threads(2).enable_all().build().unwrap();
    let enough = dying.block_on(async {
        let (store, writer, _) = open_at(&place, &clock).await;
        tokio::spawn(writer);
        for writer in 0..50 {
            let (store, answered) = (store.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                let user = writer % 5;
                while let Ok(append) = store.append(plain(user, "E")).await {
                    let head = &answered[usize::try_from(user).unwrap()];
                    head.fetch_max(appended(append).sequence, Ordering::SeqCst);
                }
            });
        }
        while answered
            .iter()
            .any(|head| head.load(Ordering::SeqCst) < 100)
        {
            tokio::task::yield_now().await;
        }
        answered
            .iter()
            .map(|head| head.load(Ordering::SeqCst))
            .collect::<Vec<_>>()
    });
    dying.shutdown_background();
    runtime.block_on(async {
        let (store, _writer, _) = open_at(&place, &clock).await;
        for (user, answered) in (0..).zip(enough) {
            let state = store.stream_state(&stream(user)).await.unwrap();
            assert!(state.head >= answered, "{} < {answered}", state.head);
            let mut sequences = Vec::new();
            while let page = store
                .entries(&stream(user), sequences.len() as i64, 1000)
                .await
                .unwrap()
                && !page.entries.is_empty()
            {
                sequences.extend(page.entries.iter().map(|entry| entry.sequence));
            }
            assert_eq!(sequences, (1..=sequences.len() as i64).collect::<Vec<_>>());
            let next = appended(store.append(plain(user, "E")).await.unwrap());
            assert_eq!(next.sequence, sequences.len() as i64 + 1);
        }
    });
}

#[tokio::test]
async fn leases_and_answers_survive_a_restart() {
    let db = open().await;
    db.upload(42).await;
    let lease = db.lease().await;
    let db = db.reopen().await;
    assert!(db.try_lease().await.is_none());
    let first = appended(db.append(completed(42, &lease)).await);
    let db = db.reopen().await;
    let again = db.append(completed(42, &lease)).await;
    let first = Appended {
        connections: 0,
        ..first
    };
    assert_eq!(again, Append::Repeated(first));
}
