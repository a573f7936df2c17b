//! Client results of clients of the other node.

use signalr::{BackplaneError, ConnectionId, HubOptions, InvokeError, protocol::HubProtocol};

use super::{Node, bus::Bus, impatient, two_nodes};
use crate::client::{Client, PATIENCE};

async fn asked_and_answered(protocol: HubProtocol) {
    let (_bus, a, b) = two_nodes().await;
    let mut bob = Client::connect(b.address, "bob", protocol).await;
    let client = a.hub.context().client(bob.id);
    let asking = client.invoke::<String, _>("Question", ("why",));
    let answering = async {
        let id = bob.question().await;
        assert_eq!(id.len(), 22, "{id} is as unlike others as a GUID");
        bob.answer(&id, "because").await;
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer.unwrap(), "because");

    let asking = client.invoke::<String, _>("Question", ());
    let answering = async {
        let id = bob.question().await;
        bob.send(|protocol, out| protocol.write_end(out, &id, Some("no")))
            .await;
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer, Err(InvokeError::Client("no".into())));
}

#[tokio::test]
async fn a_client_of_the_other_node_answers_in_json() {
    asked_and_answered(HubProtocol::Json).await;
}

#[tokio::test]
async fn a_client_of_the_other_node_answers_in_messagepack() {
    asked_and_answered(HubProtocol::MessagePack).await;
}

#[tokio::test]
async fn a_client_that_leaves_answers_with_an_error() {
    let (_bus, a, b) = two_nodes().await;
    let mut bob = Client::connect(b.address, "bob", HubProtocol::Json).await;
    let client = a.hub.context().client(bob.id);
    let asking = client.invoke::<String, _>("Question", ());
    let leaving = async {
        bob.question().await;
        bob.close().await;
    };
    let (answer, ()) = tokio::join!(asking, leaving);
    let gone = "Connection disconnected.".to_owned();
    assert_eq!(answer, Err(InvokeError::Client(gone)));
}

#[tokio::test]
async fn a_connection_that_no_node_has_does_not_exist() {
    let (_bus, a, _b) = two_nodes().await;
    let nobody = ConnectionId::parse("0000000000000000000000").unwrap();
    let answer = a
        .hub
        .context()
        .client(nobody)
        .invoke::<String, _>("Question", ())
        .await;
    assert_eq!(answer, Err(InvokeError::UnknownConnection(nobody)));
}

#[tokio::test]
async fn waiting_for_another_node_has_an_end() {
    let bus = std::sync::Arc::new(Bus::default());
    let options = HubOptions {
        // Subscriptions are in time, however slow the machine is.
        backplane_timeout: PATIENCE,
        ..impatient()
    };
    let a = Node::start(&bus, options.clone()).await;
    let b = Node::start(&bus, options).await;
    let mut bob = Client::connect(b.address, "bob", HubProtocol::Json).await;
    let client = a.hub.context().client(bob.id);
    let answer = client.invoke::<String, _>("Question", ()).await;
    assert_eq!(answer, Err(InvokeError::TimedOut(bob.id)));
    // The late answer disturbs nobody.
    let id = bob.question().await;
    bob.answer(&id, "late").await;
    b.hub.context().all().send("End", ()).await;
    bob.expect("End").await;
    let nobody = ConnectionId::parse("0000000000000000000000").unwrap();
    let added = a.hub.context().groups().try_add(nobody, "garden").await;
    assert_eq!(added, Err(BackplaneError::TimedOut));
    // That is no fault of the backplane.
    assert!(!a.hub.backplane_stats().unwrap().failing);
}
