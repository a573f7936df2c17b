//! Jobs that become ready are announced, each time once.

use private_services::{AmqpClient, RabbitMq};
use serde_json::json;

use super::*;

#[tokio::test]
async fn an_upload_is_announced_claimed_and_ended() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = hub(&url, &[]).await;
    let id = hub.uploaded("42").await;
    let client = AmqpClient::connect(&url).await;
    client.until_depth(REQUESTS, 1).await;
    let message = client.get(REQUESTS).await.unwrap();
    let properties = &message.delivery.properties;
    assert_eq!(
        *properties.delivery_mode(),
        Some(2),
        "it survives the broker"
    );
    let job: Value = serde_json::from_slice(&message.delivery.data).unwrap();
    assert_eq!(job["analysisId"], id);
    message
        .delivery
        .acker
        .ack(Default::default())
        .await
        .unwrap();

    let claimed = claim(&hub, &job, 'a').await;
    assert_eq!(claimed["outcome"], "claimed");
    assert_eq!(claimed["job"]["analysisId"], id);
    complete(&hub, "42", &claimed["job"]).await;
    assert_eq!(
        log(&hub, "42").await,
        [("ReceiveAnalysisCompleted".to_owned(), id)]
    );
    until_health(&hub, "Healthy", |data| data["announced"] == 1).await;
    assert_eq!(client.depth(REQUESTS).await, Some(0));
}

#[tokio::test]
async fn a_job_is_announced_again_for_its_next_attempt_and_after_a_silent_worker() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = hub(&url, &[("Jobs__LeaseSeconds", "1")]).await;
    hub.uploaded("42").await;
    let client = AmqpClient::connect(&url).await;
    let job = announced(&client).await;
    let first = claim(&hub, &job, 'a').await["job"].clone();
    assert_eq!(first["attempt"], 1);
    let retry = json!({"token": first["token"], "error": "502", "userMessage": "Later."});
    let path = format!("/internal/jobs/{}/retry", job["jobId"]);
    assert_eq!(hub.call(&path, &retry, 200).await["outcome"], "scheduled");

    let again = announced(&client).await;
    assert_eq!(again["jobId"], job["jobId"]);
    assert!(again["readyAt"].as_i64() > job["readyAt"].as_i64());
    let second = claim(&hub, &again, 'b').await["job"].clone();
    assert_eq!(second["attempt"], 2);
    // This worker dies: its lease ends, and the job is announced once more.
    let third = announced(&client).await;
    let third = claim(&hub, &third, 'c').await["job"].clone();
    assert_eq!(third["attempt"], 3);
    // The dead attempt's late result changes nothing.
    let late = json!({
        "userId": "42",
        "notification": {"analysisId": second["analysisId"], "status": "Completed"},
        "attempt": {"jobId": second["jobId"], "token": second["token"]},
    });
    hub.call("/internal/notify", &late, 409).await;
    complete(&hub, "42", &third).await;
    assert_eq!(log(&hub, "42").await.len(), 1);
}

#[tokio::test]
async fn an_answer_to_a_parked_job_is_announced() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = hub(&url, &[]).await;
    hub.uploaded("42").await;
    let client = AmqpClient::connect(&url).await;
    let job = announced(&client).await;
    let leased = claim(&hub, &job, 'a').await["job"].clone();
    let heartbeat = format!("/internal/jobs/{}/heartbeat", job["jobId"]);
    let progress = json!({"percent": 40, "stage": "looking", "message": "An expert looks"});
    let park = json!({"token": leased["token"], "progress": progress, "parkSeconds": 600});
    hub.call(&heartbeat, &park, 200).await;

    let result_url = leased["resultUrl"].as_str().unwrap();
    let path = &result_url[result_url.find("/callbacks").unwrap()..];
    let answer = hub.post(path).body(r#"{"overallHealthScore": 64}"#);
    assert_eq!(answer.send().await.unwrap().status(), 202);
    let again = announced(&client).await;
    let mapping = claim(&hub, &again, 'b').await["job"].clone();
    assert_eq!(mapping["attempt"], 1, "mapping is no new attempt");
    assert!(mapping["reply"]["body"].is_string());
    // The progress that the first worker told is still there for the user.
    let analysis = format!("/api/v1/plantanalyses/{}", job["analysisId"]);
    assert_eq!(hub.get_by("42", &analysis).await["progress"], progress);
}

#[tokio::test]
async fn a_message_that_is_lost_is_sent_again() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = hub(&url, &[("Relay__RepublishAfter", "1")]).await;
    hub.uploaded("42").await;
    let client = AmqpClient::connect(&url).await;
    let lost = announced(&client).await;
    let again = announced(&client).await;
    assert_eq!(again, lost, "the same readiness");
    assert_eq!(claim(&hub, &again, 'a').await["outcome"], "claimed");
}
