//! Leases, progress, results, retries and outside analysers.

use std::time::Duration;

use image::ImageFormat;
use reqwest::Method;
use serde_json::{Value, json};

use super::completed;
use crate::harness::{Hub, photo, problem, read};

#[tokio::test]
async fn a_job_goes_from_upload_to_notification() {
    let hub = Hub::start().await;
    let id = hub.uploaded("42").await;
    let job = hub.leased().await;
    assert_eq!(job["analysisId"], id);
    assert_eq!(job["userId"], 42);
    assert_eq!(
        (&job["attempt"], &job["maxAttempts"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(job["leaseSeconds"], 30);

    let image = hub
        .internal(Method::GET, job["imagePath"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(image.headers()["content-type"], "image/jpeg");
    assert_eq!(
        image.bytes().await.unwrap().as_ref(),
        &photo(ImageFormat::Jpeg)[..]
    );

    let heartbeat = format!("/internal/jobs/{}/heartbeat", job["jobId"]);
    let progress =
        json!({"percent": 40, "stage": "segmenting", "message": "Telling leaf from soil"});
    let beat = json!({"token": job["token"], "progress": progress});
    assert!(
        hub.call(&heartbeat, &beat, 200).await["leaseSeconds"]
            .as_u64()
            .unwrap()
            >= 29
    );
    let analysis = hub
        .get_by("42", &format!("/api/v1/plantanalyses/{id}"))
        .await;
    assert_eq!(analysis["progress"], progress);

    let overlay = photo(ImageFormat::Png);
    let path = format!("/internal/analyses/{id}/overlay");
    let put = hub
        .internal(Method::PUT, &path)
        .header("X-Attempt-Token", job["token"].as_str().unwrap());
    assert_eq!(
        put.body(overlay.clone()).send().await.unwrap().status(),
        204
    );

    let attempt = json!({"jobId": job["jobId"], "token": job["token"]});
    let result =
        json!({"overallHealthScore": 61, "primaryConcern": "Leaf rust", "confidence": 0.8});
    let mut body = completed("42", &json!(id));
    body["attempt"] = attempt;
    body["result"] = result;
    let accepted = hub.call("/internal/notify", &body, 202).await;
    assert_eq!(accepted["sequence"], 1);
    assert_eq!(accepted["connections"], 0);

    let analysis = hub
        .get_by("42", &format!("/api/v1/plantanalyses/{id}"))
        .await;
    assert_eq!(analysis["status"], "Completed");
    assert_eq!(analysis["result"]["overallHealthScore"], 61);
    let link = analysis["overlayUrl"].as_str().unwrap();
    let signed = link.split_once("/api/").unwrap().1;
    let opened = hub.get(&format!("/api/{signed}")).send().await.unwrap();
    assert_eq!(opened.bytes().await.unwrap().as_ref(), &overlay[..]);

    let page = hub.get_by("42", "/api/v1/notifications").await;
    let entry = &page["items"][0];
    assert_eq!(
        (&page["head"], &page["complete"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(entry["event"], "ReceiveAnalysisCompleted");
    let payload = &entry["payload"];
    assert_eq!(payload["analysisId"], id);
    assert_eq!(payload["sequence"], 1);
    assert_eq!(payload["notificationId"], accepted["notificationId"]);
    assert_eq!(payload["overallHealthScore"], 61);
    assert_eq!(payload["deepLink"], format!("app://analysis/{id}"));
    assert!(payload["imageUrl"].as_str().unwrap().contains("signature="));
    assert_eq!(
        hub.get_by("43", "/api/v1/notifications").await["items"],
        json!([])
    );

    // The same outcome again is the same answer; the attempt is over otherwise.
    let again = hub
        .internal(Method::POST, "/internal/notify")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(
        read(again, 200).await["notificationId"],
        accepted["notificationId"]
    );
    let late = hub
        .internal(Method::POST, &heartbeat)
        .json(&beat)
        .send()
        .await
        .unwrap();
    problem(late, 409, None).await;

    assert_eq!(
        hub.get_by("42", "/api/v1/notifications/unread-count").await,
        json!({"unread": 1, "acknowledged": 0})
    );
    let ack = hub
        .by("42", Method::POST, "/api/v1/notifications/ack")
        .json(&json!({"sequence": 1}));
    assert_eq!(
        read(ack.send().await.unwrap(), 200).await,
        json!({"unread": 0, "acknowledged": 1})
    );
}

#[tokio::test]
async fn an_upload_wakes_a_waiting_worker() {
    let hub = Hub::start().await;
    let request = json!({"workerId": "w", "maxJobs": 5, "waitSeconds": 10});
    let waiting = [
        hub.call("/internal/jobs/lease", &request, 200),
        hub.call("/internal/jobs/lease", &request, 200),
    ];
    let uploads = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        hub.uploaded("42").await;
        hub.uploaded("43").await;
    };
    let [first, second] = waiting;
    // A worker that was not woken ends its wait with nothing.
    let (first, second, ()) = tokio::join!(first, second, uploads);
    let count = |answer: &Value| answer["jobs"].as_array().unwrap().len();
    assert!(count(&first) + count(&second) >= 1);
}

#[tokio::test]
async fn a_retried_job_is_leased_again_and_fails_after_its_last_attempt() {
    let hub = Hub::with(&[("Jobs__MaxAttempts", "2")]).await;
    let id = hub.uploaded("42").await;
    let first = hub.leased().await;
    let retry = |job: &Value| format!("/internal/jobs/{}/retry", job["jobId"]);
    let body = |job: &Value| json!({"token": job["token"], "error": "webhook\n502", "userMessage": "The analysis service is not available."});
    let back =
        json!({"token": first["token"], "error": "shutdown", "userMessage": "", "handBack": true});
    let scheduled = hub.call(&retry(&first), &back, 200).await;
    assert_eq!(scheduled["outcome"], "scheduled");
    let first = hub.leased().await;
    assert_eq!(
        first["attempt"], 1,
        "an attempt that was handed back does not count"
    );
    let scheduled = hub.call(&retry(&first), &body(&first), 200).await;
    assert!(scheduled["retryInSeconds"].as_u64().unwrap() <= 2);
    // The answer may have been lost: the same again is the same answer.
    let again = hub.call(&retry(&first), &body(&first), 200).await;
    assert_eq!(again["outcome"], "scheduled");
    let second = hub.leased().await;
    let stale = hub
        .internal(Method::POST, &retry(&first))
        .json(&body(&first))
        .send()
        .await
        .unwrap();
    problem(stale, 409, None).await;
    assert_eq!(second["attempt"], 2);
    assert_eq!(second["idempotencyKey"], first["idempotencyKey"]);
    assert_ne!(second["token"], first["token"]);
    let exhausted = hub.call(&retry(&second), &body(&second), 200).await;
    assert_eq!(exhausted["outcome"], "exhausted");
    let analysis = hub
        .get_by("42", &format!("/api/v1/plantanalyses/{id}"))
        .await;
    assert_eq!(analysis["status"], "Failed");
    assert_eq!(
        analysis["errorMessage"],
        "The analysis service is not available."
    );
    let page = hub.get_by("42", "/api/v1/notifications").await;
    assert_eq!(page["items"][0]["event"], "ReceiveAnalysisFailed");
}

#[tokio::test]
async fn a_lease_without_heartbeats_expires_by_itself() {
    let hub = Hub::with(&[("Jobs__LeaseSeconds", "1")]).await;
    hub.uploaded("42").await;
    let first = hub.leased().await;
    let second = hub.leased().await;
    assert_eq!(second["jobId"], first["jobId"]);
    assert_eq!(second["attempt"], 2);
    let mut late = completed("42", &first["analysisId"]);
    late["attempt"] = json!({"jobId": first["jobId"], "token": first["token"]});
    let sent = hub
        .internal(Method::POST, "/internal/notify")
        .json(&late)
        .send()
        .await
        .unwrap();
    problem(sent, 409, None).await;
    assert_eq!(hub.get_by("42", "/api/v1/notifications").await["head"], 0);
}

#[tokio::test]
async fn an_outside_analyser_answers_by_its_signed_addresses() {
    let hub = Hub::start().await;
    let id = hub.uploaded("42").await;
    let job = hub.leased().await;
    let local = |url: &Value| {
        let url = reqwest::Url::parse(url.as_str().unwrap()).unwrap();
        format!("{}?{}", url.path(), url.query().unwrap())
    };
    let (progress, result) = (local(&job["progressUrl"]), local(&job["resultUrl"]));
    let park = json!({"token": job["token"], "parkSeconds": 600});
    hub.call(
        &format!("/internal/jobs/{}/heartbeat", job["jobId"]),
        &park,
        200,
    )
    .await;
    let said = json!({"percent": 50, "stage": "model", "message": "Half way"});
    assert_eq!(
        hub.post(&progress)
            .json(&said)
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    let analysis = hub
        .get_by("42", &format!("/api/v1/plantanalyses/{id}"))
        .await;
    assert_eq!(analysis["progress"]["percent"], 50);

    for bad in [
        result.replace("attempt=1", "attempt=2"),
        result.replace("exp=", "exp=9"),
        result.replace("/result", "/progress"),
        result.split('?').next().unwrap().to_owned(),
        result.replace("sig=", "sig=A"),
    ] {
        problem(
            hub.post(&bad).json(&json!({})).send().await.unwrap(),
            403,
            None,
        )
        .await;
    }
    problem(
        hub.post(&result).body("").send().await.unwrap(),
        400,
        Some("body"),
    )
    .await;
    problem(
        hub.post(&result).body(vec![0xff]).send().await.unwrap(),
        400,
        Some("body"),
    )
    .await;
    problem(
        hub.post(&result)
            .body(vec![b'x'; 1_100_000])
            .send()
            .await
            .unwrap(),
        413,
        Some("body"),
    )
    .await;
    assert_eq!(
        hub.post(&result)
            .body("{\"score\":7}")
            .send()
            .await
            .unwrap()
            .status(),
        202
    );
    assert_eq!(
        hub.post(&result)
            .body("{\"score\":8}")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let again = hub.leased().await;
    assert_eq!(again["reply"]["body"], "{\"score\":7}");
    assert_eq!(again["attempt"], 1);
}
