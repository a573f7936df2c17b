//! What the broker could not deliver.

use private_services::{
    AmqpClient, Postgres, RabbitMq,
    lapin::{
        BasicProperties,
        options::BasicPublishOptions,
        types::{AMQPValue, FieldTable},
    },
};

use super::*;

#[tokio::test]
async fn a_job_that_cannot_be_delivered_ends_as_failed_and_its_owner_is_told() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = hub(&url, &[("RabbitMq__DeliveryLimit", "2")]).await;
    let id = hub.uploaded("42").await;
    let client = AmqpClient::connect(&url).await;
    client.until_depth(REQUESTS, 1).await;
    // Worker after worker dies of it before it claims the job.
    while let Some(message) = client.get(REQUESTS).await {
        let requeue = private_services::lapin::options::BasicRejectOptions { requeue: true };
        message.delivery.acker.reject(requeue).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    let logged = until_logged(&hub, "42", 1).await;
    assert_eq!(logged, [("ReceiveAnalysisFailed".to_owned(), id)]);
    let analysis = hub
        .get_by("42", &format!("/api/v1/plantanalyses/{id}"))
        .await;
    assert_eq!(analysis["status"], "Failed");
    until_health(&hub, "Healthy", |data| data["failedByDeadLetter"] == 1).await;
}

/// Poison of all kinds is out of the way at its first delivery, and takes nothing along.
#[tokio::test]
async fn letters_that_name_no_job_are_counted_and_the_next_is_handled() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = hub(&url, &[]).await;
    until_health(&hub, "Healthy", |_| true).await;
    let client = AmqpClient::connect(&url).await;
    let letters = "plant-analysis-requests.dead-letter";
    client.publish(letters, b"").await;
    client.publish(letters, b"{").await;
    client.publish(letters, br#"{"jobId":"1"}"#).await;
    client.publish(letters, &vec![b'x'; 20 << 20]).await;
    client.publish(letters, br#"{"jobId":4711}"#).await;
    let id = hub.uploaded("42").await;
    let job = announced(&client).await;
    client.publish(letters, job.to_string().as_bytes()).await;
    let logged = until_logged(&hub, "42", 1).await;
    assert_eq!(logged, [("ReceiveAnalysisFailed".to_owned(), id)]);
    until_health(&hub, "Healthy", |data| data["unreadableDeadLetters"] == 4).await;
    assert_eq!(client.depth(letters).await, Some(0));
}

/// PostgreSQL stores no U+0000, so that waiting for it to take this is vain.
#[tokio::test]
async fn a_letter_that_the_store_never_takes_keeps_no_other() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let database = Postgres::shared().await.new_database().await;
    let hub = hub(&url, &[("DATABASE_URL", &database)]).await;
    let client = AmqpClient::connect(&url).await;
    let letters = "plant-analysis-requests.dead-letter";
    hub.uploaded("42").await;
    let poisoned = announced(&client).await.to_string();
    let mut headers = FieldTable::default();
    let reason = AMQPValue::LongString("rejected\0".into());
    headers.insert("x-first-death-reason".into(), reason);
    let channel = client.channel().await;
    let published = channel.basic_publish(
        "".into(),
        letters.into(),
        BasicPublishOptions::default(),
        poisoned.as_bytes(),
        BasicProperties::default().with_headers(headers),
    );
    published.await.unwrap().await.unwrap();
    let id = hub.uploaded("43").await;
    let job = announced(&client).await;
    client.publish(letters, job.to_string().as_bytes()).await;
    let logged = until_logged(&hub, "43", 1).await;
    assert_eq!(logged, [("ReceiveAnalysisFailed".to_owned(), id)]);
    until_health(&hub, "Healthy", |data| data["refusedDeadLetters"] == 1).await;
    client.until_depth(letters, 0).await;
}

#[tokio::test]
async fn a_letter_of_a_job_that_a_worker_has_ends_nothing() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = hub(&url, &[]).await;
    let id = hub.uploaded("42").await;
    let client = AmqpClient::connect(&url).await;
    let job = announced(&client).await;
    let leased = claim(&hub, &job, 'a').await["job"].clone();
    let letters = "plant-analysis-requests.dead-letter";
    client.publish(letters, job.to_string().as_bytes()).await;
    // Letters are handled one after the other: the second one shows that the first is.
    client.publish(letters, b"no job").await;
    until_health(&hub, "Healthy", |data| data["unreadableDeadLetters"] == 1).await;
    complete(&hub, "42", &leased).await;
    assert_eq!(
        log(&hub, "42").await,
        [("ReceiveAnalysisCompleted".to_owned(), id)]
    );
}
