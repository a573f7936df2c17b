//! The timeline that an operator reads.

use hub_api::{
    explain::{ExplainError, explain},
    store::{Confirmation, ReceiptSource},
};

use super::*;

#[tokio::test]
async fn a_timeline_reads_from_upload_to_receipt() {
    let db = open().await;
    let id = db.upload(42).await;
    db.clock.advance(Duration::from_millis(12));
    let first = db.lease().await;
    db.clock.advance(seconds(1));
    db.store.retry(give_back(&first)).await.unwrap();
    db.clock.advance(seconds(2));
    let second = db.lease().await;
    db.clock.advance(Duration::from_millis(180));
    appended(db.append(completed(42, &second)).await);
    let at = db.clock.now() + Duration::from_millis(9);
    let (stream, source) = (stream(42), ReceiptSource::Pong);
    db.store.confirm(vec![Confirmation {
        stream,
        sequence: 1,
        source,
        at,
    }]);
    let db = db.reopen().await;
    let timeline = explain(&db.store, &UserId::from(42), id).await.unwrap();
    let expected = "\
Analysis 1 of user 42: Completed, health 81
Upload to end 3.192 s: 0.012 s in the queue, 3.180 s with workers.
A device had it 0.009 s later.

2027-01-15 08:00:00.000Z    +0.000 s  uploaded
2027-01-15 08:00:00.012Z    +0.012 s  leased         attempt 1 by worker-a
2027-01-15 08:00:01.012Z    +1.012 s  retried        attempt 1, again in 2 s: 502 from n8n
2027-01-15 08:00:03.012Z    +3.012 s  leased         attempt 2 by worker-a
2027-01-15 08:00:03.192Z    +3.192 s  completed
2027-01-15 08:00:03.192Z    +3.192 s  logged         ReceiveAnalysisCompleted, sequence 1
2027-01-15 08:00:03.192Z    +3.192 s  handed         sequence 1 to 1 connection
2027-01-15 08:00:03.201Z    +3.201 s  confirmed      sequence 1, by pong
";
    assert_eq!(timeline.to_string(), expected);
}

#[tokio::test]
async fn an_open_analysis_says_what_it_waits_for() {
    let db = open().await;
    let id = db.upload(42).await;
    let read = async || {
        explain(&db.store, &UserId::from(42), id)
            .await
            .unwrap()
            .to_string()
    };
    assert!(
        read()
            .await
            .contains("Not ended yet: no worker has taken it.")
    );
    db.lease().await;
    assert!(read().await.contains("Not ended yet: a worker has it."));
}

#[tokio::test]
async fn somebody_elses_analysis_has_no_timeline() {
    let db = open().await;
    let id = db.upload(42).await;
    let error = explain(&db.store, &UserId::from(43), id).await.unwrap_err();
    assert!(matches!(error, ExplainError::NotFound { .. }));
    assert_eq!(error.to_string(), "user 43 has no analysis 1");
}
