//! What is sent to everybody reaches the clients of both hubs, once.

use serde_json::json;

use super::{
    Common,
    client::{ALL, Client},
};

#[tokio::test]
async fn it_reaches_the_clients_of_both_hubs_once() {
    let common = Common::new().await;
    let (a, b) = (common.hub().await, common.hub().await);
    let mut clients = Vec::new();
    for transport in ALL {
        for (hub, user) in [(&a, "42"), (&b, "43")] {
            let mut client = Client::connect(hub, user, transport).await;
            client.ping().await;
            clients.push(client);
        }
    }
    for number in 1..=3 {
        let body = json!({"event": "Maintenance", "arguments": [{"number": number}]});
        let sent = b.call("/internal/broadcast", &body, 202).await;
        assert_eq!(sent["connections"], 3, "those of the hub that was called");
    }
    for client in &mut clients {
        for number in 1..=3 {
            let (event, argument) = client.event().await;
            assert_eq!(
                (event.as_str(), &argument["number"]),
                ("Maintenance", &json!(number))
            );
        }
    }
}
