//! `POST /internal/jobs/{id}/claim` and `GET /internal/ping`.

use private_services::{AmqpClient, RabbitMq};
use reqwest::Method;
use serde_json::json;

use super::*;
use crate::harness::problem;

/// The same message five times, at the same moment.
#[tokio::test]
async fn one_of_many_claims_gets_the_job() {
    let url = RabbitMq::shared().await.new_vhost().await;
    let hub = hub(&url, &[]).await;
    hub.uploaded("42").await;
    let client = AmqpClient::connect(&url).await;
    let job = announced(&client).await;
    let claims = ['a', 'b', 'c', 'd', 'e'].map(|who| claim(&hub, &job, who));
    let answers = futures_util::future::join_all(claims).await;
    let of = |outcome: &str| {
        let mut answers = answers.iter().filter(|answer| answer["outcome"] == outcome);
        (answers.next(), answers.count())
    };
    let (Some(won), 0) = of("claimed") else {
        panic!("{answers:?}");
    };
    assert_eq!(of("held").1 + 1, 4);

    // Its answer was lost: the same claim again is the same lease.
    let token = won["job"]["token"].as_str().unwrap();
    let who = token.chars().next().unwrap();
    assert_eq!(claim(&hub, &job, who).await["job"]["attempt"], 1);
    complete(&hub, "42", &won["job"]).await;
    assert_eq!(claim(&hub, &job, 'f').await["outcome"], "ended");
    let nobodys = json!({"jobId": 999});
    assert_eq!(claim(&hub, &nobodys, 'f').await["outcome"], "unknown");
}

#[tokio::test]
async fn a_claim_needs_the_secret_and_a_token_that_cannot_be_guessed() {
    let hub = Hub::start().await;
    hub.uploaded("42").await;
    for (body, field) in [
        (json!({"workerId": "w1", "token": "short"}), "token"),
        (json!({"workerId": "", "token": "x".repeat(32)}), "workerId"),
    ] {
        let sent = hub.internal(Method::POST, "/internal/jobs/1/claim");
        let answer = sent.json(&body).send().await.unwrap();
        problem(answer, 400, Some(field)).await;
    }
    let good = json!({"workerId": "w1", "token": "x".repeat(32)});
    let sent = hub.post("/internal/jobs/1/claim").json(&good);
    problem(sent.send().await.unwrap(), 401, None).await;
    let sent = hub
        .internal(Method::POST, "/internal/jobs/0/claim")
        .json(&good);
    assert!(sent.send().await.unwrap().status().is_client_error());

    let ping = hub.internal(Method::GET, "/internal/ping");
    assert_eq!(ping.send().await.unwrap().status(), 204);
    let stranger = hub.get("/internal/ping").send().await.unwrap();
    problem(stranger, 401, None).await;
}
