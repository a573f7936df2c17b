//! Groups of connections that are on another node.

use private_services::Redis;
use signalr::{BackplaneError, ConnectionId, protocol::HubProtocol::Json};

use crate::{
    client::Client,
    node::{Node, options, two_nodes},
};

#[tokio::test]
async fn a_connection_of_the_other_node_is_in_the_group_when_the_call_ends() {
    let (_, a, b) = two_nodes().await;
    let mut bob = Client::connect(b.address, "bob", Json).await;
    let hub = a.hub.context();
    hub.groups().try_add(bob.id, "garden").await.unwrap();
    hub.group("garden").send("In", ()).await;
    bob.expect("In").await;
    hub.groups().try_remove(bob.id, "garden").await.unwrap();
    hub.group("garden").send("Out", ()).await;
    hub.all().send("End", ()).await;
    bob.expect("End").await;
}

#[tokio::test]
async fn a_node_that_is_alone_is_told_at_once_that_nobody_has_the_connection() {
    let node = Node::start(options(&Redis::shared().await.url())).await;
    let nobody = ConnectionId::parse("0000000000000000000000").unwrap();
    let added = node.hub.context().groups().try_add(nobody, "garden").await;
    assert!(
        matches!(added, Err(BackplaneError::Unavailable(_))),
        "{added:?}"
    );
}
