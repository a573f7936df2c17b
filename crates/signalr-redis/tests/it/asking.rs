//! Client results of clients of the other node.

use signalr::{
    ConnectionId, InvokeError,
    protocol::HubProtocol::{self, Json, MessagePack},
};

use crate::{client::Client, node::two_nodes};

async fn asked_and_answered(protocol: HubProtocol) {
    let (_, a, b) = two_nodes().await;
    let mut bob = Client::connect(b.address, "bob", protocol).await;
    let client = a.hub.context().client(bob.id);
    let asking = client.invoke::<String, _>("Question", ("why",));
    let answering = async {
        let id = bob.question().await;
        bob.answer(&id, "because").await;
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer.unwrap(), "because");
}

#[tokio::test]
async fn a_client_of_the_other_node_answers_in_json() {
    asked_and_answered(Json).await;
}

#[tokio::test]
async fn a_client_of_the_other_node_answers_in_messagepack() {
    asked_and_answered(MessagePack).await;
}

#[tokio::test]
async fn a_connection_that_no_node_has_does_not_exist() {
    let (_, a, _b) = two_nodes().await;
    let nobody = ConnectionId::parse("0000000000000000000000").unwrap();
    let client = a.hub.context().client(nobody);
    let answer = client.invoke::<String, _>("Question", ()).await;
    assert_eq!(answer, Err(InvokeError::UnknownConnection(nobody)));
}
