//! What one user may do in a minute, and what one source may try in vain.

use serde_json::Value;

use crate::{
    client::Client,
    harness::{Hub, photo, problem, read},
};

#[tokio::test]
async fn a_user_uploads_so_often_and_others_are_not_held_up() {
    let hub = Hub::with(&[("Limits__UploadsPerMinute", "3")]).await;
    for _ in 0..3 {
        hub.uploaded("42").await;
    }
    let more = hub.upload("42", photo(image::ImageFormat::Jpeg));
    let refused = more.send().await.unwrap();
    let wait: u32 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&wait));
    problem(refused, 429, None).await;
    assert_eq!(
        hub.get_by("42", "/api/v1/plantanalyses").await["items"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    hub.uploaded("43").await;
}

/// The answer to call `id` of `method`.
async fn invoke(client: &mut Client, id: u32, method: &str) -> Value {
    let call = format!(
        "{{\"type\":1,\"invocationId\":\"{id}\",\"target\":\"{method}\",\"arguments\":[]}}\u{1e}"
    );
    client.send(&call).await;
    let id = id.to_string();
    client
        .find(|message| message["type"] == 3 && message["invocationId"] == *id)
        .await
}

#[tokio::test]
async fn a_user_calls_methods_so_often_over_all_connections_unknown_ones_included() {
    let hub = Hub::with(&[("Limits__InvocationsPerMinute", "4")]).await;
    let mut first = Client::connect(&hub, "42").await;
    let mut second = Client::connect(&hub, "42").await;
    for id in 0..2 {
        assert!(invoke(&mut first, id, "Ping").await["error"].is_null());
    }
    for id in 0..2 {
        let unknown = invoke(&mut second, id, "NoSuchMethod").await;
        assert!(
            unknown["error"]
                .as_str()
                .unwrap()
                .contains("Method does not exist")
        );
    }
    for client in [&mut first, &mut second] {
        for method in ["Ping", "NoSuchMethod"] {
            let refused = invoke(client, 9, method).await;
            assert!(
                refused["error"].as_str().unwrap().contains("too often"),
                "{refused}"
            );
        }
    }
    let mut other = Client::connect(&hub, "43").await;
    assert!(invoke(&mut other, 1, "Ping").await["error"].is_null());
}

#[tokio::test]
async fn a_source_that_is_denied_too_often_waits_and_good_tokens_do_not() {
    let hub = Hub::with(&[("Limits__DeniedPerMinute", "5")]).await;
    let path = "/api/v1/notifications/unread-count";
    for _ in 0..5 {
        problem(hub.get(path).send().await.unwrap(), 401, None).await;
    }
    let refused = hub.get(path).bearer_auth("x.y.z").send().await.unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    problem(refused, 429, None).await;
    let negotiate = "/hubs/plantanalysis/negotiate?negotiateVersion=1";
    let refused = hub.post(negotiate).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.text().await.unwrap(), "");
    // The same address with a good token.
    hub.get_by("42", path).await;
    let good = hub.post(negotiate).bearer_auth(hub.token("42"));
    read(good.send().await.unwrap(), 200).await;
}
