//! Uploads, ownership, paging, pictures.

use hub_api::store::{Append, Created, OverlaySet, Photo, PictureOf, Store, StoreError};
use shared_dto::{UserId, analysis::AnalysisStatus};

use super::*;

#[tokio::test]
async fn an_upload_is_an_analysis_with_a_job() {
    let db = open().await;
    let id = db.upload(42).await;
    let analysis = db
        .store
        .analysis_of(&UserId::from(42), id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(analysis.status, AnalysisStatus::Processing);
    assert_eq!(analysis.created_at, START);
    assert_eq!(analysis.crop_type.as_deref(), Some("wheat"));
    let lease = db.lease().await;
    assert_eq!(
        (lease.analysis_id, lease.attempt, lease.max_attempts),
        (id, 1, 3)
    );
    assert_eq!(lease.user, UserId::from(42));
    assert!(matches!(&lease.photo, Photo::Stored { key, .. } if key == "photo-42"));
}

#[tokio::test]
async fn it_is_known_which_pictures_are_those_of_an_analysis() {
    let db = open().await;
    let id = db.upload(42).await;
    let lease = db.lease().await;
    let set = db.store.set_overlay(id, lease.token, "overlay".into());
    assert_eq!(set.await.unwrap(), OverlaySet::Set { replaced: None });
    let user = |user: i64| PictureOf::User(UserId::from(user));
    for (of, key, named) in [
        (user(42), "photo-42", true),
        (user(42), "photo-43", false),
        (user(43), "photo-42", false),
        (user(42), "overlay", false),
        (PictureOf::Analysis(id), "overlay", true),
        (PictureOf::Analysis(id), "photo-42", false),
        (PictureOf::Analysis(id + 1), "overlay", false),
    ] {
        let answer = db.store.names_picture(&of, key).await.unwrap();
        assert_eq!(answer, named, "{of:?} {key}");
    }
}

#[tokio::test]
async fn somebody_elses_analysis_is_not_there() {
    let db = open().await;
    let id = db.upload(42).await;
    assert_eq!(
        db.store.analysis_of(&UserId::from(43), id).await.unwrap(),
        None
    );
    assert_eq!(
        db.store.history_of(&UserId::from(43), id).await.unwrap(),
        None
    );
    assert_eq!(
        db.store
            .analysis_of(&UserId::from(42), id + 1)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_repeated_upload_gives_the_first_analysis_and_another_body_conflicts() {
    let db = open().await;
    let upload = |scope: &str, hash: &str| NewAnalysis {
        idempotency: Some(idempotency(scope, "key-1", hash)),
        ..upload_of(42)
    };
    let first = db
        .store
        .create_analysis(upload("upload:user:42", "a"))
        .await
        .unwrap();
    let Created::Created { analysis_id } = first else {
        panic!("{first:?}")
    };
    let again = db
        .store
        .create_analysis(upload("upload:user:42", "a"))
        .await
        .unwrap();
    let status = AnalysisStatus::Processing;
    assert_eq!(
        again,
        Created::Repeated {
            analysis_id,
            status
        }
    );
    let other = db
        .store
        .create_analysis(upload("upload:user:42", "b"))
        .await
        .unwrap();
    assert_eq!(other, Created::Conflict);
    let elsewhere = db
        .store
        .create_analysis(upload("upload:user:43", "b"))
        .await
        .unwrap();
    assert!(
        matches!(elsewhere, Created::Created { .. }),
        "scopes never meet: {elsewhere:?}"
    );
}

#[tokio::test]
async fn the_same_upload_at_once_makes_one_analysis() {
    let db = open().await;
    let upload = || NewAnalysis {
        idempotency: Some(idempotency("upload:user:42", "key-1", "a")),
        ..upload_of(42)
    };
    let answers =
        futures_util::future::join_all((0..100).map(|_| db.store.create_analysis(upload()))).await;
    let created = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Created::Created { .. })))
        .count();
    assert_eq!(created, 1);
    assert_eq!(db.store.queue_stats().await.unwrap().ready, 1);
}

#[tokio::test]
async fn a_thousand_uploads_at_once_all_go_through() {
    let db = open().await;
    let users = (0..1000).map(|n| n % 50);
    let answers =
        futures_util::future::join_all(users.map(|user| db.store.create_analysis(upload_of(user))))
            .await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(Created::Created { .. })))
    );
    assert_eq!(db.store.queue_stats().await.unwrap().ready, 1000);
}

#[tokio::test]
async fn analyses_come_newest_first_in_pages() {
    let db = open().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(db.upload(42).await);
        db.upload(43).await;
    }
    ids.reverse();
    let user = UserId::from(42);
    let first = db.store.analyses_of(&user, None, 2).await.unwrap();
    assert_eq!(
        first.items.iter().map(|item| item.id).collect::<Vec<_>>(),
        ids[..2]
    );
    assert_eq!(first.next_before, Some(ids[1]));
    let rest = db
        .store
        .analyses_of(&user, first.next_before, 3)
        .await
        .unwrap();
    assert_eq!(
        rest.items.iter().map(|item| item.id).collect::<Vec<_>>(),
        ids[2..]
    );
    assert_eq!(
        rest.next_before, None,
        "a full last page is the last all the same"
    );
}

#[tokio::test]
async fn only_the_attempt_that_holds_the_lease_sets_the_overlay() {
    let db = open().await;
    let id = db.upload(42).await;
    let lease = db.lease().await;
    let set = |token: &str, key: &str| db.store.set_overlay(id, token.into(), key.into());
    assert_eq!(
        set(&lease.token, "o1").await.unwrap(),
        OverlaySet::Set { replaced: None }
    );
    let replaced = Some("o1".to_owned());
    assert_eq!(
        set(&lease.token, "o2").await.unwrap(),
        OverlaySet::Set { replaced }
    );
    assert_eq!(set("forged", "o3").await.unwrap(), OverlaySet::Stale);
    assert!(matches!(
        db.append(completed(42, &lease)).await,
        Append::Appended(_)
    ));
    assert_eq!(set(&lease.token, "o4").await.unwrap(), OverlaySet::Stale);
    let unknown = db
        .store
        .set_overlay(id + 1, lease.token.clone(), "o5".into())
        .await
        .unwrap();
    assert_eq!(unknown, OverlaySet::Unknown);
    let pictures = db.store.pictures_of(id).await.unwrap().unwrap();
    assert_eq!(pictures.overlay_key.as_deref(), Some("o2"));
}

#[tokio::test]
async fn a_store_for_reading_reads_beside_the_writer_and_refuses_writes() {
    let db = open().await;
    let id = db.upload(42).await;
    let reader = Store::open_for_reading(db.options()).await.unwrap();
    assert!(
        reader
            .analysis_of(&UserId::from(42), id)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(reader.epoch(), db.store.epoch());
    let refused = reader.create_analysis(upload_of(42)).await.unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly) && !refused.is_transient());
}

#[tokio::test]
async fn a_text_that_no_database_holds_is_refused_by_all() {
    let db = open().await;
    let upload = NewAnalysis {
        notes: Some("a\0b".into()),
        ..upload_of(42)
    };
    let refused = db.store.create_analysis(upload).await.unwrap_err();
    assert!(matches!(refused, StoreError::UnstorableText) && !refused.is_transient());
    let refused = db.store.append(keyed(42, "E", "a\0b", "a")).await;
    assert!(matches!(refused, Err(StoreError::UnstorableText)));
    let escaped = NewNotification {
        payload: r#"{"notes":"a\u0000b"}"#.into(),
        ..plain(42, "E")
    };
    db.append(escaped).await;
    let page = db.store.entries(&stream(42), 0, 10).await.unwrap();
    assert_eq!(&*page.entries[0].payload, r#"{"notes":"a\u0000b"}"#);
}
