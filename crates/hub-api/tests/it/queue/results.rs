//! `POST /internal/jobs/result`: answers that came over the result queue.

use reqwest::Method;
use serde_json::json;

use super::*;
use crate::harness::problem;

async fn bring(hub: &Hub, body: &Value) -> reqwest::Response {
    let sent = hub
        .internal(Method::POST, "/internal/jobs/result")
        .json(body);
    sent.send().await.unwrap()
}

#[tokio::test]
async fn the_signature_decides_on_an_answer_and_the_first_counts() {
    let hub = Hub::start().await;
    hub.uploaded("42").await;
    let job = hub.leased().await;
    let url = job["resultUrl"].as_str().unwrap();
    let answer = json!({"overallHealthScore": 64});
    for forged in [
        url.replace("attempt=1", "attempt=2"),
        url.replace("/jobs/1/", "/jobs/2/"),
        url.replace("sig=", "sig=x"),
        url.replace("/result?", "/progress?"),
        "https://elsewhere.example/".to_owned(),
        "no address".to_owned(),
    ] {
        let body = json!({"resultUrl": forged, "result": answer});
        problem(bring(&hub, &body).await, 422, None).await;
    }
    let empty = json!({"resultUrl": url, "result": " "});
    problem(bring(&hub, &empty).await, 400, Some("body")).await;
    let long = json!({"resultUrl": url, "result": "x".repeat((1 << 20) + 1)});
    problem(bring(&hub, &long).await, 413, None).await;

    let good = json!({"resultUrl": url, "result": answer});
    assert_eq!(bring(&hub, &good).await.status(), 202);
    let other = json!({"resultUrl": url, "result": {"overallHealthScore": 1}});
    assert_eq!(bring(&hub, &other).await.status(), 200);
    let heartbeat = format!("/internal/jobs/{}/heartbeat", job["jobId"]);
    let park = json!({"token": job["token"], "parkSeconds": 60});
    hub.call(&heartbeat, &park, 200).await;
    let mapping = hub.leased().await;
    assert_eq!(mapping["reply"]["body"], answer.to_string());
}

#[tokio::test]
async fn an_answer_to_an_attempt_that_was_given_up_is_refused() {
    let hub = Hub::start().await;
    hub.uploaded("42").await;
    let first = hub.leased().await;
    let retry = json!({"token": first["token"], "error": "502", "userMessage": "Later."});
    hub.call("/internal/jobs/1/retry", &retry, 200).await;
    let second = hub.leased().await;
    assert_eq!(second["attempt"], 2);
    let body = json!({"resultUrl": first["resultUrl"], "result": {"overallHealthScore": 1}});
    problem(bring(&hub, &body).await, 409, None).await;
}
