//! Messages for clients of both nodes.

use serde_json::json;
use signalr::protocol::HubProtocol::{Json, MessagePack};

use crate::{client::Client, node::two_nodes};

#[tokio::test]
async fn everybody_gets_a_broadcast_once_whatever_their_protocol() {
    let (_, a, b) = two_nodes().await;
    let mut clients = [
        Client::connect(a.address, "ann", Json).await,
        Client::connect(a.address, "amy", MessagePack).await,
        Client::connect(b.address, "bob", Json).await,
        Client::connect(b.address, "ben", MessagePack).await,
    ];
    for count in 0..20 {
        a.hub.context().all().send("Count", (count, "hällo")).await;
    }
    a.hub.context().all().send("End", ()).await;
    for client in &mut clients {
        for count in 0..20 {
            let expected = ("Count".to_owned(), vec![json!(count), json!("hällo")]);
            assert_eq!(client.event().await, expected);
        }
        client.expect("End").await;
    }
}

#[tokio::test]
async fn a_user_is_found_on_every_node() {
    let (_, a, b) = two_nodes().await;
    let mut here = Client::connect(a.address, "ann", Json).await;
    let mut there = Client::connect(b.address, "ann", MessagePack).await;
    let mut other = Client::connect(b.address, "bob", Json).await;
    a.hub.context().user("ann").send("Hello", ()).await;
    b.hub.context().user("ann").send("Hello", ()).await;
    a.hub.context().user("bob").send("Other", ()).await;
    for client in [&mut here, &mut there] {
        client.expect("Hello").await;
        client.expect("Hello").await;
    }
    other.expect("Other").await;
    a.hub.context().all().send("End", ()).await;
    for client in [&mut here, &mut there, &mut other] {
        client.expect("End").await;
    }
}

#[tokio::test]
async fn groups_span_nodes_and_those_left_out_are_left_out_everywhere() {
    let (_, a, b) = two_nodes().await;
    let mut here = Client::connect(a.address, "ann", Json).await;
    let mut there = Client::connect(b.address, "bob", Json).await;
    let mut outside = Client::connect(b.address, "ben", Json).await;
    here.invoke("Join", ("garden",)).await;
    there.invoke("Join", ("garden",)).await;
    let hub = a.hub.context();
    hub.group("garden").send("Rain", ()).await;
    hub.group_except("garden", &[there.id])
        .send("Sun", ())
        .await;
    hub.all_except(&[outside.id, here.id])
        .send("Wind", ())
        .await;
    hub.client(outside.id).send("Alone", ()).await;
    hub.all().send("End", ()).await;
    for event in ["Rain", "Sun", "End"] {
        here.expect(event).await;
    }
    // One publisher's messages keep their order, whatever channel they are on.
    for event in ["Rain", "Wind", "End"] {
        there.expect(event).await;
    }
    for event in ["Alone", "End"] {
        outside.expect(event).await;
    }
}

#[tokio::test]
async fn a_user_that_left_is_no_longer_subscribed_to() {
    let (_, a, b) = two_nodes().await;
    let client = Client::connect(b.address, "bob", Json).await;
    let channel = format!("{}:user:bob", crate::node::HUB);
    assert_eq!(a.link.publish(&channel, b"\x92\x90\x80").await, Ok(1));
    client.close().await;
    let deadline = tokio::time::Instant::now() + crate::client::PATIENCE;
    while a.link.publish(&channel, b"\x92\x90\x80").await != Ok(0) {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
