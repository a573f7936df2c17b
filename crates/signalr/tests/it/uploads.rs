//! Uploads whose ids a client uses again.

use axum::body::Body;
use futures_util::StreamExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use signalr::{Hub, HubError, HubServer, Upload};
use tower::ServiceExt as _;

struct Adder;
impl Hub for Adder {}

async fn sum(mut numbers: Upload<i32>) -> Result<i32, HubError> {
    let mut sum = 0;
    while let Some(number) = numbers.next().await {
        sum += number.map_err(|error| HubError::new(error.to_string()))?;
    }
    Ok(sum)
}

async fn request(hub: &HubServer, method: &str, target: &str, body: &str) -> String {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .body(Body::from(body.to_owned()))
        .expect("a valid request");
    let Ok(answer) = hub.service("/hub").oneshot(request).await;
    assert!(answer.status().is_success(), "{}", answer.status());
    let body = answer.into_body().collect().await.expect("a whole body");
    String::from_utf8(body.to_bytes().to_vec()).expect("text")
}

/// The first call's end must not take the second call's upload away.
#[tokio::test]
async fn an_id_may_be_used_again_once_its_upload_ended() {
    let hub = HubServer::builder(Adder)
        .method("Sum", sum)
        .detailed_errors(true)
        .build()
        .unwrap();
    let negotiated = request(&hub, "POST", "/hub/negotiate?negotiateVersion=1", "").await;
    let negotiated: serde_json::Value = serde_json::from_str(&negotiated).unwrap();
    let token = negotiated["connectionToken"].as_str().unwrap();
    let target = format!("/hub?id={token}");
    request(&hub, "GET", &target, "").await;
    let call = |id: u8, number: u8| {
        format!(
            "{{\"type\":1,\"invocationId\":\"{id}\",\"target\":\"Sum\",\"arguments\":[],\"streamIds\":[\"s\"]}}\x1e\
             {{\"type\":2,\"invocationId\":\"s\",\"item\":{number}}}\x1e\
             {{\"type\":3,\"invocationId\":\"s\"}}\x1e"
        )
    };
    let said = format!(
        "{{\"protocol\":\"json\",\"version\":1}}\x1e{}{}",
        call(1, 20),
        call(2, 30)
    );
    request(&hub, "POST", &target, &said).await;
    let mut answers = String::new();
    while answers.matches("\"type\":3").count() < 2 {
        answers.push_str(&request(&hub, "GET", &target, "").await);
    }
    assert!(
        answers.contains("\"invocationId\":\"1\",\"result\":20}"),
        "{answers}"
    );
    assert!(
        answers.contains("\"invocationId\":\"2\",\"result\":30}"),
        "{answers}"
    );
    request(&hub, "DELETE", &target, "").await;
}
