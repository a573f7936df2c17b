//! What operators of one hub are told of all.

use std::time::Duration;

use serde_json::{Value, json};
use shared_dto::UserId;

use super::{
    Common, PATIENCE,
    client::{
        Client,
        Transport::{LongPolling, ServerSentEvents, WebSockets},
    },
};
use crate::{client::Client as Operator, harness::Hub};

async fn operator(hub: &Hub) -> Operator {
    let user = UserId::new("operator").unwrap();
    let roles = ["Admin".to_owned()];
    let lifetime = Duration::from_secs(600);
    let token = hub_api::auth::mint(&hub.config, &user, &roles, lifetime).unwrap();
    Operator::at(hub, "/hubs/admin", &token).await
}

/// What each hub's clients are, once all of them are counted.
async fn until_connections_are(operator: &mut Operator, expected: [Value; 2]) -> Value {
    let counted = async {
        loop {
            let told = operator.event("ReceiveNodes").await[0].take();
            let nodes = told["nodes"].as_array().unwrap();
            let connections = nodes.iter().map(|node| &node["connections"]);
            if connections.eq(&expected) {
                return told;
            }
        }
    };
    let patience = tokio::time::timeout(PATIENCE, counted).await;
    patience.expect("every hub is counted")
}

#[tokio::test]
async fn clients_are_counted_by_hub_and_transport_and_those_of_others_are_not() {
    let common = Common::new().await;
    let mut others = Common::new().await;
    others.prefix.clone_from(&common.prefix);
    let (a, b, other) = (common.hub().await, common.hub().await, others.hub().await);
    let mut clients = Vec::new();
    for (hub, user, transport) in [
        (&a, "1", WebSockets),
        (&a, "2", WebSockets),
        (&a, "3", LongPolling),
        (&b, "4", ServerSentEvents),
        (&other, "5", WebSockets),
    ] {
        let mut client = Client::connect(hub, user, transport).await;
        client.ping().await;
        clients.push(client);
    }
    let at_a = json!({"WebSockets": 2, "LongPolling": 1});
    let at_b = json!({"ServerSentEvents": 1});
    let mut watching = [operator(&a).await, operator(&b).await];
    let told = until_connections_are(&mut watching[0], [at_a.clone(), at_b.clone()]).await;
    // Whoever is asked comes first.
    let from_b = until_connections_are(&mut watching[1], [at_b, at_a]).await;
    assert_eq!(told["nodes"][0]["node"], from_b["nodes"][1]["node"]);
    assert_ne!(told["nodes"][0]["node"], told["nodes"][1]["node"]);
    assert_eq!(told["nodes"][1]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["silent"], 0);
}
