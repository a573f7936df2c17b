//! Redis dies, freezes, or is cut off.

use std::{future::Future, time::Duration};

use private_services::Redis;
use serde_json::Value;
use signalr::protocol::HubProtocol::Json;
use signalr_redis::{LinkState, RedisLink, RedisOptions};
use tokio::time::{Instant, timeout};

use crate::{
    client::{Client, PATIENCE},
    node::{Node, options},
    proxy::Proxy,
};

/// The options of a node that soon notices that Redis is away, and soon tries
/// again. A busy machine may seem away to it as well, which these tests bear.
fn impatient(url: &str) -> RedisOptions {
    let mut options = options(url);
    options.connect_timeout = Duration::from_secs(2);
    options.command_timeout = Duration::from_secs(1);
    options.ping_interval = Duration::from_millis(300);
    options.longest_pause = Duration::from_millis(500);
    options
}

/// A send to local clients takes microseconds; one that waited for Redis
/// would take until a time limit, a second at least.
async fn at_once<T>(sending: impl Future<Output = T>) -> T {
    let patience = Duration::from_millis(900);
    timeout(patience, sending)
        .await
        .expect("nothing waits for Redis")
}

/// Until a message that was sent is taken for lost, and sent again.
const NEXT: Duration = Duration::from_millis(100);

async fn until_down(link: &RedisLink) {
    let mut state = link.state();
    let down = state.wait_for(|state| matches!(state, LinkState::Down { .. }));
    timeout(PATIENCE, down).await.unwrap().unwrap();
}

/// Sends to the client of `b` from `a` until something arrives; gives the
/// arguments of the other events that came before.
async fn until_reached(a: &Node, user: &str, client: &mut Client, event: &str) -> Vec<Vec<Value>> {
    let reached = async {
        let mut passed_over = Vec::new();
        loop {
            a.hub.context().user(user).send(event, ()).await;
            while let Ok((heard, arguments)) = timeout(NEXT, client.event()).await {
                if heard == event {
                    return passed_over;
                }
                passed_over.push(arguments);
            }
        }
    };
    timeout(PATIENCE, reached)
        .await
        .expect("messages arrive again")
}

#[tokio::test]
async fn a_redis_that_was_killed_is_used_again_when_it_is_back() {
    let mut redis = Redis::start().await.unwrap();
    let options = impatient(&redis.url());
    let (a, b) = (
        Node::start(options.clone()).await,
        Node::start(options).await,
    );
    let mut ann = Client::connect(a.address, "ann", Json).await;
    let mut bob = Client::connect(b.address, "bob", Json).await;
    redis.process.kill().await.unwrap();
    until_down(&a.link).await;
    until_down(&b.link).await;
    for count in 0..100 {
        at_once(a.hub.context().user("ann").send("Local", (count,))).await;
    }
    for count in 0..100 {
        assert_eq!(ann.event().await, ("Local".to_owned(), vec![count.into()]));
    }
    // A client comes while Redis is away, and is found when it is back.
    let mut ben = at_once(Client::connect(b.address, "ben", Json)).await;
    redis.process.start_again().await.unwrap();
    assert!(a.link.wait_until_up(PATIENCE).await && b.link.wait_until_up(PATIENCE).await);
    until_reached(&a, "bob", &mut bob, "Again").await;
    until_reached(&a, "ben", &mut ben, "Again").await;
    until_reached(&b, "ann", &mut ann, "Again").await;
    assert!(a.link.stats().connects >= 2);
}

#[tokio::test]
async fn a_frozen_redis_is_noticed_and_blocks_nobody() {
    let mut redis = Redis::start().await.unwrap();
    let options = impatient(&redis.url());
    let (a, b) = (
        Node::start(options.clone()).await,
        Node::start(options).await,
    );
    let mut ann = Client::connect(a.address, "ann", Json).await;
    let mut bob = Client::connect(b.address, "bob", Json).await;
    redis.process.freeze().await.unwrap();
    let began = Instant::now();
    for count in 0..2000 {
        at_once(a.hub.context().all().send("Local", (count,))).await;
    }
    for count in 0..2000 {
        assert_eq!(ann.event().await, ("Local".to_owned(), vec![count.into()]));
    }
    until_down(&a.link).await;
    assert!(began.elapsed() < PATIENCE);
    until_down(&b.link).await;
    redis.process.thaw().await.unwrap();
    assert!(a.link.wait_until_up(PATIENCE).await && b.link.wait_until_up(PATIENCE).await);
    // What had reached the frozen server's socket may still come, in order,
    // and nothing of it twice though the old sockets came to life again.
    let passed_over = until_reached(&a, "bob", &mut bob, "Again").await;
    let mut once = passed_over.clone();
    once.dedup();
    assert_eq!(passed_over, once);
}

#[tokio::test]
async fn a_node_that_is_cut_off_serves_its_own_and_comes_back() {
    let redis = Redis::shared().await;
    let proxy = Proxy::before(redis.port()).await;
    let mut behind = impatient(&redis.url_at(proxy.port));
    let a = Node::start(behind.clone()).await;
    behind.port = redis.port();
    let b = Node::start(behind).await;
    let mut ann = Client::connect(a.address, "ann", Json).await;
    let mut bob = Client::connect(b.address, "bob", Json).await;
    proxy.cut();
    at_once(a.hub.context().all().send("Here", ())).await;
    ann.expect("Here").await;
    b.hub.context().all().send("There", ()).await;
    bob.expect("There").await;
    until_down(&a.link).await;
    assert!(b.link.is_up(), "the other node is not cut off");
    proxy.mend();
    assert!(a.link.wait_until_up(PATIENCE).await);
    let passed_over = until_reached(&b, "ann", &mut ann, "Again").await;
    assert!(
        passed_over.is_empty(),
        "the connection that was given up brings nothing"
    );
}

#[tokio::test]
async fn a_hub_starts_without_redis_and_finds_it_later() {
    let mut redis = Redis::start().await.unwrap();
    let options = impatient(&redis.url());
    redis.process.kill().await.unwrap();
    let link = RedisLink::open(options).unwrap();
    until_down(&link).await;
    redis.process.start_again().await.unwrap();
    assert!(link.wait_until_up(PATIENCE).await);
    link.close();
    let mut state = link.state();
    let closed = state.wait_for(|state| *state == LinkState::Closed);
    timeout(PATIENCE, closed).await.unwrap().unwrap();
    assert!(link.publish("channel", b"").await.is_err());
}
