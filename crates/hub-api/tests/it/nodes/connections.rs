//! The connections of one user on both hubs.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{
    Common, PATIENCE,
    client::{Client, Transport::WebSockets},
    notify,
};
use crate::harness::{Hub, read};

const PATH: &str = "/internal/users/42/connections";

async fn listed(hub: &Hub) -> usize {
    let listed = hub.internal(Method::GET, PATH).send().await.unwrap();
    let listed = read(listed, 200).await;
    listed["connections"].as_array().unwrap().len()
}

async fn connected(hub: &Hub) -> Client {
    let mut client = Client::connect(hub, "42", WebSockets).await;
    client.ping().await;
    client
}

#[tokio::test]
async fn they_are_listed_and_closed_at_either_hub() {
    let common = Common::new().await;
    let (a, b) = (common.hub().await, common.hub().await);
    let mut clients = [connected(&a).await, connected(&b).await];
    assert_eq!((listed(&a).await, listed(&b).await), (2, 2));
    let closed = b.internal(Method::DELETE, PATH).send().await.unwrap();
    assert_eq!(read(closed, 200).await["closed"], 2);
    for client in &mut clients {
        let close = client.close().await.expect("a Close message");
        assert_ne!(close["allowReconnect"], true);
    }
}

#[tokio::test]
async fn a_user_has_five_on_both_hubs_together() {
    let common = Common::new().await;
    let (a, b) = (common.hub().await, common.hub().await);
    let mut clients = Vec::new();
    for hub in [&a, &b, &a, &b, &a] {
        clients.push(connected(hub).await);
    }
    for hub in [&a, &b] {
        let mut sixth = Client::connect(hub, "42", WebSockets).await;
        let close = sixth.close().await.expect("a Close message");
        let text = close["error"].as_str().unwrap();
        assert!(text.contains("5 devices"), "{text}");
        assert_ne!(close["allowReconnect"], true);
    }
    for client in &mut clients {
        client.ping().await;
    }
    // A place that is given up at one hub is free at the other.
    drop(clients.remove(0));
    let given_up = async {
        while listed(&b).await > 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, given_up).await.unwrap();
    connected(&b).await;
}

#[tokio::test]
async fn clients_of_a_hub_that_died_resume_at_the_other() {
    let common = Common::new().await;
    let (a, b) = (common.hub().await, common.hub().await);
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(connected(&a).await);
    }
    notify(&b, 42, 1).await;
    for client in &mut clients {
        assert_eq!(client.done().await, (1, 1));
    }
    a.shutdown.kill();
    for mut client in clients {
        while client.close().await.is_some() {}
    }
    notify(&b, 42, 2).await;
    // None of them is refused because of those that died with their hub.
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(&b, "42", WebSockets).await;
        let resumed = client.invoke("Resume", json!([1])).await;
        let result = &resumed["result"];
        assert_eq!(
            (&result["to"], &result["complete"]),
            (&json!(2), &json!(true)),
            "{resumed}"
        );
        clients.push(client);
    }
    notify(&b, 42, 3).await;
    for client in &mut clients {
        assert_eq!(client.done().await, (3, 3));
    }
    let mut sixth = Client::connect(&b, "42", WebSockets).await;
    assert!(sixth.close().await.is_some());
}
