//! Clients over a real WebSocket, through the hub's own server.

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::Client,
    harness::{Hub, read},
};

#[tokio::test]
async fn a_notification_reaches_the_owner_and_nobody_else() {
    let hub = Hub::start().await;
    let mut owner = Client::connect(&hub, "42").await;
    let mut other = Client::connect(&hub, "43").await;
    let id = hub.uploaded("42").await;
    let notification = json!({"analysisId": id, "status": "Completed", "imageUrl": format!("/api/v1/plantanalyses/{id}/image")});
    hub.call(
        "/internal/notify",
        &json!({"userId": 42, "notification": notification}),
        202,
    )
    .await;
    let event = &owner.event("ReceiveAnalysisCompleted").await[0];
    assert_eq!(
        (&event["analysisId"], &event["sequence"]),
        (&json!(id), &json!(1))
    );
    // The link in it opens as it is.
    let link = event["imageUrl"].as_str().unwrap();
    let path = &link[link.find("/api/").unwrap()..];
    assert_eq!(hub.get(path).send().await.unwrap().status(), 200);

    hub.call(
        "/internal/notify",
        &json!({"userId": 43, "event": "Other", "payload": {}}),
        202,
    )
    .await;
    let seen = &other.event("Other").await[0];
    assert_eq!(
        seen["sequence"], 1,
        "the other user's log has nothing of the owner's"
    );
}

#[tokio::test]
async fn progress_is_told_and_connections_are_listed_and_closed() {
    let hub = Hub::start().await;
    let mut client = Client::connect(&hub, "42").await;
    client.ping().await;
    let path = "/internal/users/42/connections";
    let listed = read(hub.internal(Method::GET, path).send().await.unwrap(), 200).await;
    assert_eq!(listed["connections"].as_array().unwrap().len(), 1);
    assert_eq!(listed["connections"][0]["transport"], "WebSockets");

    hub.uploaded("42").await;
    let job = hub.leased().await;
    let progress = json!({"percent": 40, "stage": "s", "message": "m"});
    let heartbeat = format!("/internal/jobs/{}/heartbeat", job["jobId"]);
    hub.call(
        &heartbeat,
        &json!({"token": job["token"], "progress": progress}),
        200,
    )
    .await;
    assert_eq!(
        client.event("ReceiveAnalysisProgress").await[0]["percent"],
        40
    );
    let progress = json!({"userId": 42, "notification": {"analysisId": 5, "status": "Processing", "percent": 60}});
    assert_eq!(
        hub.call("/internal/notify", &progress, 202).await["connections"],
        1
    );
    assert_eq!(
        client.event("ReceiveAnalysisProgress").await[0]["percent"],
        60
    );

    let closed = read(
        hub.internal(Method::DELETE, path).send().await.unwrap(),
        200,
    )
    .await;
    assert_eq!(closed["closed"], 1);
    while let Some(Ok(_)) = client.0.next().await {}
    let health = read(hub.get("/health/signalr").send().await.unwrap(), 200).await;
    assert_eq!(health["status"], "Healthy");
}

#[tokio::test]
async fn a_leaving_hub_tells_its_clients_to_reconnect() {
    let mut hub = Hub::start().await;
    let mut client = Client::connect(&hub, "42").await;
    client.ping().await;
    hub.shutdown.begin();
    let mut close = None;
    while let Some(Ok(message)) = client.0.next().await {
        if let Message::Text(text) = message {
            for part in text.split('\u{1e}').filter(|part| !part.is_empty()) {
                let message: Value = serde_json::from_str(part).unwrap();
                if message["type"] == 7 {
                    close = Some(message);
                }
            }
        }
    }
    assert_eq!(close.expect("a Close message")["allowReconnect"], true);
    hub.left().await.unwrap();
}

#[tokio::test]
async fn a_user_has_five_connections_and_the_sixth_is_told_why_not() {
    let hub = Hub::start().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(&hub, "42").await;
        client.ping().await;
        clients.push(client);
    }
    let mut sixth = Client::connect(&hub, "42").await;
    let close = sixth.message(7).await;
    let text = close["error"].as_str().unwrap();
    assert!(text.contains("5 devices"), "{text}");
    assert_ne!(close["allowReconnect"], true, "it would come back at once");
    // Nobody else pays for it, and a place that is given up is free.
    Client::connect(&hub, "43").await.ping().await;
    for client in &mut clients {
        client.ping().await;
    }
    clients.pop().unwrap().0.close(None).await.unwrap();
    let path = "/internal/users/42/connections";
    loop {
        let listed = hub.internal(Method::GET, path).send().await.unwrap();
        let listed = read(listed, 200).await;
        if listed["connections"].as_array().unwrap().len() == 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Client::connect(&hub, "42").await.ping().await;
}
