//! The internal link: leases, progress, results, retries, notifications.

use std::time::Duration;

use image::ImageFormat;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Hub, INTERNAL_SECRET, photo, problem, read};

fn completed(user: &str, analysis: &Value) -> Value {
    json!({
        "type": "analysis.completed",
        "userId": user,
        "notification": {
            "analysisId": analysis,
            "status": "Completed",
            "imageUrl": format!("/api/v1/plantanalyses/{analysis}/image"),
        },
    })
}

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
    let request = json!({"workerId": "w", "maxJobs": 5, "waitSeconds": 30});
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
    let start = tokio::time::Instant::now();
    let (first, second, ()) = tokio::join!(first, second, uploads);
    let count = |answer: &Value| answer["jobs"].as_array().unwrap().len();
    assert!(count(&first) + count(&second) >= 1);
    assert!(start.elapsed() < Duration::from_secs(31));
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

#[tokio::test]
async fn notifications_of_every_kind_are_logged_once() {
    let hub = Hub::start().await;
    let event = json!({"event": "ReportReady", "userId": "alice", "payload": {"report": 5}});
    let call = || {
        hub.internal(Method::POST, "/internal/notify")
            .header("Idempotency-Key", "k-1")
            .json(&event)
            .send()
    };
    let first = read(call().await.unwrap(), 202).await;
    let again = read(call().await.unwrap(), 200).await;
    assert_eq!(first, again);
    let other = json!({"event": "ReportReady", "userId": "alice", "payload": {"report": 6}});
    let conflict = hub
        .internal(Method::POST, "/internal/notify")
        .header("Idempotency-Key", "k-1")
        .json(&other);
    problem(conflict.send().await.unwrap(), 409, Some("Idempotency-Key")).await;

    // An analysis that the hub does not know; the type is inferred.
    let mut unknown = completed("alice", &json!(4711));
    unknown.as_object_mut().unwrap().remove("type");
    assert_eq!(
        hub.call("/internal/notify", &unknown, 202).await["sequence"],
        2
    );
    let failed = json!({"userId": "alice", "notification": {"analysisId": 9, "status": "Failed", "errorMessage": "No plant found in the photo"}});
    assert_eq!(
        hub.call("/internal/notify", &failed, 202).await["sequence"],
        3
    );
    let progress = json!({"userId": "alice", "notification": {"analysisId": 9, "status": "Processing", "percent": 5}});
    let told = hub.call("/internal/notify", &progress, 202).await;
    assert_eq!(
        told,
        json!({"notificationId": null, "sequence": null, "connections": 0})
    );

    let page = hub
        .get_by("alice", "/api/v1/notifications?after=1&limit=1")
        .await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["sequence"], 2);
    assert_eq!(page["items"][0]["payload"]["userId"], "alice");
    assert_eq!(page["head"], 3);
}

#[tokio::test]
async fn the_deployed_contract_is_kept() {
    let hub = Hub::start().await;
    let path = "/api/internal/signalr/analysis-completed";
    let body = json!({
        "internalSecret": INTERNAL_SECRET,
        "userId": 42,
        "notification": {"analysisId": "123", "userId": 42, "status": "Completed", "completedAt": "2025-10-01T10:00:00.1234567", "cropType": "Tomato", "primaryConcern": null, "overallHealthScore": 85, "imageUrl": "https://img.example/1.jpg", "deepLink": "app://analysis/123"},
    });
    let sent = hub.post(path).json(&body).send().await.unwrap();
    assert_eq!(read(sent, 200).await["sequence"], 1);
    let failed = json!({"internalSecret": INTERNAL_SECRET, "userId": 42, "notification": {"analysisId": 124}});
    let sent = hub
        .post("/api/internal/signalr/analysis-failed")
        .json(&failed)
        .send()
        .await
        .unwrap();
    assert_eq!(read(sent, 200).await["sequence"], 2);
    let page = hub.get_by("42", "/api/v1/notifications").await;
    assert_eq!(page["items"][0]["payload"]["analysisId"], 123);
    assert_eq!(page["items"][1]["event"], "ReceiveAnalysisFailed");
    assert_eq!(
        page["items"][1]["payload"]["errorMessage"],
        "The analysis failed."
    );

    for wrong in [
        json!({}),
        json!({"internalSecret": "wrong", "userId": 42, "notification": {"analysisId": 1}}),
        json!({"internalSecret": 7, "userId": 42, "notification": {"analysisId": 1}}),
        json!({"internalSecret": "", "userId": "bad\nuser"}),
    ] {
        let refused = problem(hub.post(path).json(&wrong).send().await.unwrap(), 401, None).await;
        assert!(
            refused.get("errors").is_none(),
            "a wrong secret learns nothing: {refused}"
        );
    }
    problem(hub.post(path).body("{").send().await.unwrap(), 401, None).await;
    let mut unreadable = body.clone();
    unreadable["notification"]["analysisId"] = json!("12x");
    let sent = hub.post(path).json(&unreadable).send().await.unwrap();
    problem(sent, 400, Some("notification.analysisId")).await;
    assert_eq!(hub.get_by("42", "/api/v1/notifications").await["head"], 2);
}

#[tokio::test]
async fn bad_calls_are_refused_with_the_field() {
    let hub = Hub::start().await;
    hub.uploaded("42").await;
    let job = hub.leased().await;
    let attempt = json!({"jobId": job["jobId"], "token": job["token"]});
    let with = |name: &str, value: Value| {
        let mut body = completed("42", &job["analysisId"]);
        body["attempt"] = attempt.clone();
        body[name] = value;
        body
    };
    let event = |name: Value| json!({"event": name, "userId": 1, "payload": {}});
    let notify = "/internal/notify";
    let lease = "/internal/jobs/lease";
    let heartbeat = format!("/internal/jobs/{}/heartbeat", job["jobId"]);
    let retry = format!("/internal/jobs/{}/retry", job["jobId"]);
    for (path, body, status, field) in [
        (notify, json!({}), 400, Some("userId")),
        (notify, json!({"userId": 1}), 400, Some("notification")),
        (
            notify,
            json!({"userId": -1, "event": "A"}),
            400,
            Some("userId"),
        ),
        (
            notify,
            json!({"userId": "", "event": "A"}),
            400,
            Some("userId"),
        ),
        (
            notify,
            json!({"userId": "x".repeat(129), "event": "A"}),
            400,
            Some("userId"),
        ),
        (notify, event(json!("")), 400, Some("event")),
        (notify, event(json!("1st")), 400, Some("event")),
        (notify, event(json!("a b")), 400, Some("event")),
        (notify, event(json!("x".repeat(65))), 400, Some("event")),
        (
            notify,
            event(json!("receiveanalysiscompleted")),
            400,
            Some("event"),
        ),
        (
            notify,
            json!({"event": "A", "userId": 1, "payload": "a\u{0}"}),
            400,
            Some("payload"),
        ),
        (
            notify,
            json!({"event": "A", "userId": 1, "payload": "x".repeat(70_000)}),
            400,
            Some("payload"),
        ),
        (
            notify,
            json!({"event": "A", "userId": 1, "payload": "x".repeat(600_000)}),
            413,
            Some("body"),
        ),
        (
            notify,
            json!({"event": "A", "userId": 1, "payload": {}, "attempt": attempt}),
            400,
            Some("attempt"),
        ),
        (notify, with("event", json!("A")), 400, Some("event")),
        (
            notify,
            with("type", json!("analysis.lost")),
            400,
            Some("type"),
        ),
        (
            notify,
            with("type", json!("analysis.failed")),
            400,
            Some("notification.status"),
        ),
        (
            notify,
            with(
                "notification",
                json!({"analysisId": 1, "status": "Completed", "userId": 43}),
            ),
            422,
            Some("notification.userId"),
        ),
        (notify, with("userId", json!(43)), 422, Some("userId")),
        (
            notify,
            with("attempt", json!({"jobId": 999, "token": "t"})),
            404,
            None,
        ),
        (
            notify,
            with("attempt", json!({"jobId": job["jobId"], "token": "old"})),
            409,
            None,
        ),
        (
            notify,
            with("attempt", json!({"jobId": 0, "token": "t"})),
            400,
            Some("attempt.jobId"),
        ),
        (
            notify,
            with("attempt", json!({"jobId": 1, "token": ""})),
            400,
            Some("attempt.token"),
        ),
        (
            notify,
            with("attempt", json!({"jobId": "1", "token": "t"})),
            400,
            Some("attempt.jobId"),
        ),
        (
            notify,
            with("result", json!({"overallHealthScore": 101})),
            400,
            Some("result.overallHealthScore"),
        ),
        (
            notify,
            with("result", json!({"confidence": 1.5})),
            400,
            Some("result.confidence"),
        ),
        (
            notify,
            with("result", json!({"primaryConcern": "a\u{0}"})),
            400,
            Some("result"),
        ),
        (
            notify,
            json!({"userId": 42, "notification": {"analysisId": 1, "status": "Completed"}, "result": {}}),
            400,
            Some("result"),
        ),
        (
            lease,
            json!({"workerId": "", "maxJobs": 1, "waitSeconds": 0}),
            400,
            Some("workerId"),
        ),
        (
            lease,
            json!({"workerId": "a b", "maxJobs": 1, "waitSeconds": 0}),
            400,
            Some("workerId"),
        ),
        (
            lease,
            json!({"workerId": "w", "maxJobs": 0, "waitSeconds": 0}),
            400,
            Some("maxJobs"),
        ),
        (
            lease,
            json!({"workerId": "w", "maxJobs": 101, "waitSeconds": 0}),
            400,
            Some("maxJobs"),
        ),
        (
            lease,
            json!({"workerId": "w", "maxJobs": 1, "waitSeconds": 31}),
            400,
            Some("waitSeconds"),
        ),
        (&heartbeat, json!({"token": "old"}), 409, None),
        (&heartbeat, json!({"token": ""}), 400, Some("token")),
        (
            &heartbeat,
            json!({"token": job["token"], "parkSeconds": 0}),
            400,
            Some("parkSeconds"),
        ),
        (
            &heartbeat,
            json!({"token": job["token"], "progress": {"percent": 101, "stage": "", "message": ""}}),
            400,
            Some("progress.percent"),
        ),
        (
            &heartbeat,
            json!({"token": job["token"], "progress": {"percent": 256, "stage": "", "message": ""}}),
            400,
            Some("progress.percent"),
        ),
        (
            "/internal/jobs/999/heartbeat",
            json!({"token": "t"}),
            404,
            None,
        ),
        (
            "/internal/jobs/0/heartbeat",
            json!({"token": "t"}),
            400,
            Some("id"),
        ),
        (
            &retry,
            json!({"token": job["token"], "error": "e", "userMessage": ""}),
            400,
            Some("userMessage"),
        ),
        (
            &retry,
            json!({"token": "old", "error": "e", "userMessage": "m"}),
            409,
            None,
        ),
        (
            "/internal/jobs/999/retry",
            json!({"token": "t", "error": "e", "userMessage": "m"}),
            404,
            None,
        ),
    ] {
        let sent = hub
            .internal(Method::POST, path)
            .json(&body)
            .send()
            .await
            .unwrap();
        problem(sent, status, field).await;
    }
    // The attempt is as it was.
    hub.call(&heartbeat, &json!({"token": job["token"]}), 200)
        .await;
    assert_eq!(hub.get_by("42", "/api/v1/notifications").await["head"], 0);
}

#[tokio::test]
async fn overlays_are_judged_and_belong_to_the_attempt() {
    let hub = Hub::with(&[("Upload__MaxBytes", "100000")]).await;
    let id = hub.uploaded("42").await;
    let job = hub.leased().await;
    let token = job["token"].as_str().unwrap();
    let path = format!("/internal/analyses/{id}/overlay");
    let put = |path: &str, token: &str, body: Vec<u8>| {
        hub.internal(Method::PUT, path)
            .header("X-Attempt-Token", token)
            .body(body)
            .send()
    };
    let png = photo(ImageFormat::Png);
    problem(
        put(&path, token, b"<svg/>".to_vec()).await.unwrap(),
        415,
        Some("body"),
    )
    .await;
    problem(
        put(&path, token, Vec::new()).await.unwrap(),
        400,
        Some("body"),
    )
    .await;
    problem(
        put(&path, token, vec![0; 100_001]).await.unwrap(),
        413,
        Some("body"),
    )
    .await;
    problem(put(&path, "old", png.clone()).await.unwrap(), 409, None).await;
    problem(
        put("/internal/analyses/999/overlay", token, png.clone())
            .await
            .unwrap(),
        404,
        None,
    )
    .await;
    let bare = hub
        .internal(Method::PUT, &path)
        .body(png.clone())
        .send()
        .await
        .unwrap();
    problem(bare, 400, Some("X-Attempt-Token")).await;
    assert_eq!(put(&path, token, png.clone()).await.unwrap().status(), 204);
    assert_eq!(put(&path, token, png).await.unwrap().status(), 204);
    problem(
        hub.internal(Method::GET, "/internal/analyses/999/image")
            .send()
            .await
            .unwrap(),
        404,
        None,
    )
    .await;
}

#[tokio::test]
async fn without_the_secret_there_is_nothing_and_no_hint() {
    let hub = Hub::start().await;
    for (method, path) in [
        (Method::POST, "/internal/notify"),
        (Method::POST, "/internal/jobs/lease"),
        (Method::POST, "/internal/jobs/1/heartbeat"),
        (Method::POST, "/internal/jobs/1/retry"),
        (Method::GET, "/internal/analyses/1/image"),
        (Method::PUT, "/internal/analyses/1/overlay"),
        (Method::GET, "/internal/users/42/connections"),
        (Method::DELETE, "/internal/users/42/connections"),
    ] {
        for secret in [None, Some(""), Some("wrong"), Some(&INTERNAL_SECRET[1..])] {
            let mut request = hub
                .request(method.clone(), path)
                .bearer_auth(hub.token("42"));
            if let Some(secret) = secret {
                request = request.header("X-Internal-Secret", secret);
            }
            problem(request.send().await.unwrap(), 401, None).await;
        }
    }
}

#[tokio::test]
async fn connections_are_listed_and_closed() {
    let hub = Hub::start().await;
    let path = "/internal/users/42/connections";
    let listed = hub.internal(Method::GET, path).send().await.unwrap();
    assert_eq!(read(listed, 200).await, json!({"connections": []}));
    let closed = hub.internal(Method::DELETE, path).send().await.unwrap();
    assert_eq!(read(closed, 200).await, json!({"closed": 0}));
}

#[tokio::test]
async fn internal_routes_leave_the_public_port_for_their_own() {
    let hub = Hub::with(&[("INTERNAL_PORT", "0")]).await;
    assert_ne!(hub.base, hub.internal_base);
    let public = hub
        .post("/internal/notify")
        .header("X-Internal-Secret", INTERNAL_SECRET);
    problem(public.json(&json!({})).send().await.unwrap(), 404, None).await;
    let event = json!({"event": "A", "userId": 1, "payload": null});
    hub.call("/internal/notify", &event, 202).await;
    let health = hub.internal(Method::GET, "/health").send().await.unwrap();
    assert_eq!(health.status(), 200);
    let rest = hub
        .internal(Method::GET, "/api/v1/plantanalyses")
        .send()
        .await
        .unwrap();
    problem(rest, 404, None).await;
}

#[tokio::test]
async fn a_restarted_hub_knows_what_it_knew() {
    // What was accepted is on the disk when the answer is sent; a folder that
    // one hub leaves is taken up by the next.
    let hub = Hub::start().await;
    let id = hub.uploaded("42").await;
    hub.shutdown.kill();
    let mut hub = hub;
    hub.left().await.unwrap();
    let store = hub_api::store::Store::open_for_reading(hub_api::store::StoreOptions::at(
        hub.config.database_path(),
    ))
    .await
    .unwrap();
    let user = shared_dto::UserId::from(42);
    assert!(store.analysis_of(&user, id).await.unwrap().is_some());
}
