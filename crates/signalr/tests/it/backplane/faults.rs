//! A backplane that does not do its part.

use std::{sync::Arc, time::Duration};

use signalr::{BackplaneError, HubOptions, InvokeError, protocol::HubProtocol::Json};

use super::{
    Node,
    bus::{Bus, Mood},
    impatient,
};
use crate::client::Client;

/// Everything local works while the backplane does not.
async fn local_life_goes_on(mood: Mood) {
    let bus = Arc::new(Bus::default());
    let a = Node::start(&bus, impatient()).await;
    let b = Node::start(&bus, impatient()).await;
    let mut bob = Client::connect(b.address, "bob", Json).await;
    bus.set(mood);
    let mut ada = Client::connect(a.address, "ada", Json).await;
    ada.invoke("Join", ("garden",)).await;
    let hub = a.hub.context();
    assert_eq!(hub.all().send("All", ()).await, 1);
    assert_eq!(hub.group("garden").send("Group", ()).await, 1);
    assert_eq!(hub.user("ada").send("User", ()).await, 1);
    for event in ["All", "Group", "User"] {
        ada.expect(event).await;
    }
    let answer = hub.client(bob.id).invoke::<String, _>("Question", ()).await;
    assert!(
        matches!(answer, Err(InvokeError::Backplane(_))),
        "{answer:?}"
    );
    let changed = hub.groups().try_add(bob.id, "garden").await;
    assert!(matches!(
        changed,
        Err(BackplaneError::TimedOut | BackplaneError::Unavailable(_))
    ));
    let stats = a.hub.backplane_stats().unwrap();
    assert!(
        stats.failing && stats.failed >= 4 && stats.failed_subscriptions > 0,
        "{stats:?}"
    );

    // Back again: what was not subscribed to is, without anybody's doing.
    bus.set(Mood::Works);
    while !bus.channels().contains(&"user:ada".to_owned()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    b.hub.context().user("ada").send("FromB", ()).await;
    ada.expect("FromB").await;
    a.hub.context().user("bob").send("FromA", ()).await;
    bob.expect("FromA").await;
}

#[tokio::test]
async fn a_backplane_that_refuses_disturbs_nobody_here() {
    local_life_goes_on(Mood::Refuses).await;
}

#[tokio::test]
async fn a_backplane_that_hangs_disturbs_nobody_here() {
    local_life_goes_on(Mood::Hangs).await;
}

#[tokio::test]
async fn a_backplane_that_panics_disturbs_nobody_here() {
    local_life_goes_on(Mood::Panics).await;
}

#[tokio::test]
async fn what_waits_for_a_backplane_that_hangs_is_bounded() {
    let bus = Arc::new(Bus::default());
    let options = HubOptions {
        backplane_timeout: Duration::from_secs(3600),
        ..HubOptions::default()
    };
    let a = Node::start(&bus, options).await;
    bus.set(Mood::Hangs);
    let hub = a.hub.context();
    let text = "x".repeat(1024);
    for _ in 0..40_000 {
        hub.user("bob").send("Big", (&text,)).await;
    }
    let stats = a.hub.backplane_stats().unwrap();
    assert!(stats.dropped > 0 && stats.waiting < 20_000, "{stats:?}");
    assert_eq!(stats.waiting as u64 + stats.dropped, 40_000);
}

#[tokio::test]
async fn a_message_to_many_users_waits_as_one_and_reaches_each() {
    let bus = Arc::new(Bus::default());
    let a = Node::start(&bus, HubOptions::default()).await;
    let b = Node::start(&bus, HubOptions::default()).await;
    let mut bob = Client::connect(b.address, "bob", Json).await;
    let mut users: Vec<_> = (0..20_000).map(|number| format!("user-{number}")).collect();
    users.push("bob".to_owned());
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let hub = a.hub.context();
    hub.users(&users).send("Many", ()).await;
    hub.user("bob").send("Next", ()).await;
    bob.expect("Many").await;
    bob.expect("Next").await;
    let stats = a.hub.backplane_stats().unwrap();
    assert_eq!((stats.dropped, stats.failed), (0, 0), "{stats:?}");
}
