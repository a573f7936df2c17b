//! Events for clients of either node.

use serde_json::json;
use signalr::protocol::HubProtocol::{Json, MessagePack};

use super::{bus::pack, two_nodes};
use crate::client::Client;

#[tokio::test]
async fn all_users_groups_and_connections_are_those_of_both_nodes() {
    let (_bus, a, b) = two_nodes().await;
    let mut ada = Client::connect(a.address, "ada", Json).await;
    let mut bob = Client::connect(b.address, "bob", MessagePack).await;
    let mut ben = Client::connect(b.address, "bob", Json).await;
    assert_eq!(ben.invoke("Join", ("garden",)).await, json!(null));
    let hub = a.hub.context();

    assert_eq!(hub.all().send("All", (1, "x")).await, 1);
    hub.user("bob").send("User", ()).await;
    hub.users(&["bob", "ada", "bob"]).send("Users", ()).await;
    hub.group("garden").send("Group", ()).await;
    hub.groups_of(&["garden", "garden"])
        .send("Groups", ())
        .await;
    assert!(hub.client(bob.id).send("One", ()).await);
    hub.clients(&[bob.id, ada.id, bob.id])
        .send("Some", ())
        .await;
    hub.all().send("End", ()).await;

    assert_eq!(
        ada.event().await,
        ("All".into(), vec![json!(1), json!("x")])
    );
    assert_eq!(
        bob.event().await,
        ("All".into(), vec![json!(1), json!("x")])
    );
    for event in ["Users", "Some", "End"] {
        ada.expect(event).await;
    }
    for event in ["User", "Users", "One", "Some", "End"] {
        bob.expect(event).await;
    }
    for event in ["All", "User", "Users", "Group", "Groups", "Groups", "End"] {
        ben.expect(event).await;
    }
}

#[tokio::test]
async fn those_who_are_excepted_get_nothing_on_any_node() {
    let (_bus, a, b) = two_nodes().await;
    let mut ada = Client::connect(a.address, "ada", Json).await;
    let mut bob = Client::connect(b.address, "bob", Json).await;
    let mut ben = Client::connect(b.address, "ben", MessagePack).await;
    for client in [&mut ada, &mut bob, &mut ben] {
        client.invoke("Join", ("garden",)).await;
    }
    let hub = a.hub.context();
    hub.all_except(&[bob.id]).send("NotBob", ()).await;
    hub.group_except("garden", &[ada.id, ben.id])
        .send("OnlyBob", ())
        .await;
    hub.all().send("End", ()).await;
    ada.expect("NotBob").await;
    ben.expect("NotBob").await;
    bob.expect("OnlyBob").await;
    for client in [&mut ada, &mut bob, &mut ben] {
        client.expect("End").await;
    }
}

#[tokio::test]
async fn a_group_changes_for_a_connection_of_the_other_node() {
    let (_bus, a, b) = two_nodes().await;
    let mut bob = Client::connect(b.address, "bob", Json).await;
    let groups = a.hub.context().groups();
    groups.try_add(bob.id, "garden").await.unwrap();
    // From either node: the acknowledgement comes when both reach it.
    a.hub.context().group("garden").send("FromA", ()).await;
    bob.expect("FromA").await;
    b.hub.context().group("garden").send("FromB", ()).await;
    bob.expect("FromB").await;
    groups.try_remove(bob.id, "garden").await.unwrap();
    a.hub.context().group("garden").send("Lost", ()).await;
    a.hub.context().all().send("End", ()).await;
    bob.expect("End").await;
}

#[tokio::test]
async fn channels_come_and_go_with_clients() {
    let (bus, mut a, b) = two_nodes().await;
    let fixed = bus.channels();
    let mut ada = Client::connect(a.address, "ada", Json).await;
    let second = Client::connect(a.address, "ada", Json).await;
    ada.invoke("Join", ("garden",)).await;
    let ids = [ada.id, second.id].map(|id| format!("connection:{id}"));
    let there = bus.channels();
    for channel in ids
        .iter()
        .map(String::as_str)
        .chain(["group:garden", "user:ada"])
    {
        assert!(
            there.iter().any(|each| each == channel),
            "{channel} in {there:?}"
        );
    }
    ada.close().await;
    assert_eq!(a.left().await, "ada");
    // What is next told comes behind it.
    let cleo = Client::connect(a.address, "cleo", Json).await;
    let there = bus.channels();
    assert!(there.contains(&"user:ada".to_owned()));
    assert!(!there.contains(&"group:garden".to_owned()) && !there.contains(&ids[0]));
    second.close().await;
    cleo.close().await;
    a.left().await;
    a.left().await;
    let dan = Client::connect(a.address, "dan", Json).await;
    let there = bus.channels();
    assert_eq!(there.len(), fixed.len() + 2, "{there:?}");
    drop((dan, b));
}

#[tokio::test]
async fn a_message_of_a_server_that_names_no_origin_reaches_all() {
    let (bus, a, b) = two_nodes().await;
    let mut ada = Client::connect(a.address, "ada", Json).await;
    let mut bob = Client::connect(b.address, "bob", Json).await;
    let frame = b"{\"type\":1,\"target\":\"Hi\",\"arguments\":[]}\x1e";
    let frames = std::collections::BTreeMap::from([("json", serde_bytes::Bytes::new(frame))]);
    let nobody: [&str; 0] = [];
    bus.publish("all", pack(&(nobody, frames)));
    ada.expect("Hi").await;
    bob.expect("Hi").await;
}

#[tokio::test]
async fn what_is_no_invocation_never_reaches_a_client() {
    let (bus, a, _b) = two_nodes().await;
    let mut ada = Client::connect(a.address, "ada", Json).await;
    let nobody: [&str; 0] = [];
    for frame in [
        &b"{\"type\":7}\x1e"[..],
        b"garbage",
        b"",
        b"{\"type\":1,\"target\":\"Hi\",\"arguments\":[]}\x1e{}",
    ] {
        let frames = std::collections::BTreeMap::from([("json", serde_bytes::Bytes::new(frame))]);
        bus.publish("all", pack(&(nobody, frames)));
    }
    a.hub.context().all().send("End", ()).await;
    ada.expect("End").await;
}
