//! Messages to everybody, as internal callers and clients see them.

use reqwest::Method;
use serde_json::json;

use super::nested;
use crate::{
    client::Client,
    harness::{Hub, problem},
};

const PATH: &str = "/internal/broadcast";

#[tokio::test]
async fn everybody_gets_it_and_nothing_is_logged() {
    let hub = Hub::start().await;
    let mut clients = Vec::new();
    for user in ["42", "43"] {
        let mut client = Client::connect(&hub, user).await;
        client.ping().await;
        clients.push(client);
    }
    // Numbers keep their digits.
    let body = r#"{"event":"Maintenance","arguments":["tonight",2.50,{"a":[null]}]}"#;
    let sent = hub
        .internal(Method::POST, PATH)
        .header("Content-Type", "application/json")
        .body(body);
    let sent = crate::harness::read(sent.send().await.unwrap(), 202).await;
    assert_eq!(sent, json!({"connections": 2}));
    for client in &mut clients {
        let text = client.text("Maintenance").await;
        assert!(text.contains(r#"["tonight",2.50,{"a":[null]}]"#), "{text}");
    }
    let to_group =
        json!({"event": "Price", "arguments": [], "group": "BTC", "hub": "plantanalysis"});
    assert_eq!(hub.call(PATH, &to_group, 202).await["connections"], 0);
    let to_all = json!({"event": "Next", "hub": "/hubs/plantanalysis"});
    assert_eq!(hub.call(PATH, &to_all, 202).await["connections"], 2);
    for client in &mut clients {
        let next = client.text("").await;
        assert!(
            next.contains("\"Next\""),
            "not what went to a group: {next}"
        );
    }
    let log = hub.get_by("42", "/api/v1/notifications").await;
    assert_eq!(log["items"], json!([]));
}

#[tokio::test]
async fn bad_broadcasts_are_refused_with_the_field() {
    let hub = Hub::start().await;
    let mut client = Client::connect(&hub, "42").await;
    client.ping().await;
    let many = vec![0; 17];
    for (body, status, field) in [
        (json!({}), 400, Some("event")),
        (json!({"event": 7}), 400, Some("event")),
        (json!({"event": ""}), 400, Some("event")),
        (json!({"event": "a b"}), 400, Some("event")),
        (json!({"event": "x".repeat(65)}), 400, Some("event")),
        (
            json!({"event": "receiveanalysiscompleted"}),
            400,
            Some("event"),
        ),
        (
            json!({"event": "A", "arguments": {}}),
            400,
            Some("arguments"),
        ),
        (
            json!({"event": "A", "arguments": many}),
            400,
            Some("arguments"),
        ),
        (
            json!({"event": "A", "arguments": [1, nested(61)]}),
            400,
            Some("arguments"),
        ),
        (
            json!({"event": "A", "arguments": ["x".repeat(65_536)]}),
            400,
            Some("arguments"),
        ),
        (
            json!({"event": "A", "arguments": ["x".repeat(140_000)]}),
            413,
            Some("body"),
        ),
        (json!({"event": "A", "group": ""}), 400, Some("group")),
        (json!({"event": "A", "group": "a\nb"}), 400, Some("group")),
        (
            json!({"event": "A", "group": "x".repeat(129)}),
            400,
            Some("group"),
        ),
        (json!({"event": "A", "hub": "nowhere"}), 400, Some("hub")),
        (json!([]), 400, Some("body")),
    ] {
        let sent = hub.internal(Method::POST, PATH).json(&body).send().await;
        problem(sent.unwrap(), status, field).await;
    }
    let broken = hub
        .internal(Method::POST, PATH)
        .header("Content-Type", "application/json")
        .body(r#"{"event":"A","arguments":["\ud800"]}"#);
    problem(broken.send().await.unwrap(), 400, None).await;
    let unguarded = hub.post(PATH).json(&json!({"event": "A"})).send().await;
    problem(unguarded.unwrap(), 401, None).await;
    // None of them reached anybody.
    hub.call(PATH, &json!({"event": "Last"}), 202).await;
    let next = client.text("").await;
    assert!(next.contains("\"Last\""), "{next}");
}
