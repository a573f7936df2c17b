//! What an operator reads of the log, what hubs look for that missed
//! something, what is kept, and the epoch.

use hub_api::store::{
    Confirmation, Delivery, DeliveryFilter, DeliveryOutcome, Handed, ReceiptSource, Retention,
};

use super::*;

fn asked() -> DeliveryFilter {
    DeliveryFilter {
        limit: 100,
        ..DeliveryFilter::default()
    }
}

async fn found(db: &Db, filter: DeliveryFilter) -> Vec<Delivery> {
    db.store.deliveries(&filter).await.unwrap().items
}

/// A store whose hook reaches no connection.
async fn open_unheard() -> Db {
    let place = place().await;
    let clock = Clock::manual(START);
    let hook = Box::new(|entries: &[LoggedEntry]| vec![0; entries.len()]);
    let (store, writer) = Store::open(place.options(&clock), hook).await.unwrap();
    Db {
        place,
        store,
        writer,
        clock,
        delivered: Arc::default(),
    }
}

#[tokio::test]
async fn each_notification_is_told_with_what_became_of_it() {
    let db = open_unheard().await;
    for _ in 0..3 {
        db.append(plain(7, "E")).await;
    }
    db.append(plain(8, "E")).await;
    let (stream, source) = (stream(7), ReceiptSource::Pong);
    let hand = |sequence| Handed {
        stream: stream.clone(),
        analysis_id: None,
        sequence,
        connections: 1,
        at: START + seconds(5),
    };
    db.store
        .record_handed(vec![hand(1), hand(2), hand(2), hand(2)]);
    db.store.confirm(vec![Confirmation {
        stream: stream.clone(),
        sequence: 1,
        source,
        at: START + seconds(6),
    }]);
    let db = db.reopen().await;
    let of_user = DeliveryFilter {
        user: Some(UserId::from(7)),
        ..asked()
    };
    let told: Vec<_> = found(&db, of_user)
        .await
        .iter()
        .map(|each| (each.sequence, each.outcome(), each.attempts))
        .collect();
    let expected = [
        (3, DeliveryOutcome::Waiting, 0),
        (2, DeliveryOutcome::Sent, 3),
        (1, DeliveryOutcome::Confirmed, 1),
    ];
    assert_eq!(told, expected);
    let waiting = DeliveryFilter {
        outcome: Some(DeliveryOutcome::Waiting),
        ..asked()
    };
    let users: Vec<_> = found(&db, waiting)
        .await
        .into_iter()
        .map(|each| each.user.unwrap())
        .collect();
    assert_eq!(users, [UserId::from(8), UserId::from(7)]);
    let confirmed = DeliveryFilter {
        outcome: Some(DeliveryOutcome::Confirmed),
        ..asked()
    };
    let confirmed = found(&db, confirmed).await;
    assert_eq!(confirmed.len(), 1);
    assert_eq!(confirmed[0].confirmed_at, Some(START + seconds(6)));
    assert_eq!(confirmed[0].receipt_source.as_deref(), Some("pong"));
}

#[tokio::test]
async fn the_notifications_of_an_analysis_are_found_in_its_owners_log() {
    let db = open().await;
    db.append(plain(42, "E")).await;
    let id = db.upload(42).await;
    let lease = db.lease().await;
    db.append(completed(42, &lease)).await;
    let of_analysis = |analysis_id| DeliveryFilter {
        analysis_id: Some(analysis_id),
        ..asked()
    };
    let told = found(&db, of_analysis(id)).await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].sequence, told[0].analysis_id), (2, Some(id)));
    assert_eq!(found(&db, of_analysis(id + 1)).await, []);
}

#[tokio::test]
async fn the_log_is_read_in_pages_newest_first() {
    let db = open().await;
    for n in 0..7 {
        db.append(plain(n % 2, "E")).await;
    }
    let mut filter = DeliveryFilter {
        limit: 3,
        ..asked()
    };
    let (mut ids, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let page = db.store.deliveries(&filter).await.unwrap();
        sizes.push(page.items.len());
        ids.extend(page.items.iter().map(|item| item.notification_id));
        filter.before = page.next_before;
        if filter.before.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert!(ids.is_sorted_by(|a, b| a > b));
    assert_eq!(ids.len(), 7);
}

#[tokio::test]
async fn streams_with_newer_entries_are_told_in_one_question() {
    let db = open().await;
    for user in 0..600 {
        db.append(plain(user % 300, "E")).await;
    }
    let known: Vec<_> = (0..400)
        .map(|user| (stream(user), if user % 2 == 0 { 2 } else { 1 }))
        .collect();
    let beyond = db.store.heads_beyond(&known).await.unwrap();
    assert_eq!(beyond.len(), 150, "those with an odd number that there are");
    assert!(beyond.iter().all(|each| each.head == 2));
    assert_eq!(db.store.heads_beyond(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_user_keeps_a_bounded_number_of_notifications() {
    let db = open().await;
    for n in 0..30 {
        db.append(plain(n % 2, "E")).await;
    }
    db.append(plain(2, "E")).await;
    let retention = Retention {
        entries_per_stream: 5,
        batch: 8,
        ..Retention::default()
    };
    let (mut rounds, mut deleted) = (0, 0);
    loop {
        let purged = db.store.purge(retention).await.unwrap();
        deleted += purged.log_entries;
        rounds += 1;
        if !purged.more {
            break;
        }
        assert!(purged.log_entries <= 8 && rounds < 20);
    }
    assert_eq!(deleted, 20);
    for user in 0..2 {
        let page = db.store.entries(&stream(user), 0, 100).await.unwrap();
        assert_eq!(
            (page.state.oldest, page.state.head, page.entries.len()),
            (11, 15, 5)
        );
    }
    assert_eq!(db.logged(2).await.len(), 1);
    assert_eq!(appended(db.append(plain(0, "E")).await).sequence, 16);
}

#[tokio::test]
async fn a_renewed_epoch_is_another_one_and_stays() {
    let db = open().await;
    db.append(plain(1, "E")).await;
    let before = db.store.epoch().to_owned();
    let renewed = db.store.renew_epoch().await.unwrap();
    assert_ne!(*renewed, *before);
    let db = db.reopen().await;
    assert_eq!(db.store.epoch(), &*renewed);
    assert_eq!(db.head(1).await, 1, "the log is as it was");
}
