//! Redis dies or freezes under two hubs.

use private_services::Redis;
use serde_json::json;

use super::{
    Common,
    client::{Client, Transport::WebSockets},
    notify, until_redis_is,
};

pub(super) async fn own_redis() -> (Redis, Common) {
    let redis = Redis::start().await.unwrap();
    let mut common = Common::new().await;
    common.redis = Some(redis.url());
    (redis, common)
}

#[tokio::test]
async fn while_redis_is_away_nothing_is_lost_and_clients_here_notice_nothing() {
    let (mut redis, mut common) = own_redis().await;
    common.sweep = "1";
    let (a, b) = (common.hub().await, common.hub().await);
    let mut there = Client::connect(&a, "1", WebSockets).await;
    let mut here = Client::connect(&b, "1", WebSockets).await;
    // They say where they stand, so that what comes is for them at once.
    there.invoke("Resume", json!([0])).await;
    here.invoke("Resume", json!([0])).await;
    redis.process.kill().await.unwrap();
    for number in 1..=20 {
        // One at a time: each arrives here before the next is written.
        let answer = notify(&b, 1, number).await;
        assert_eq!(answer["connections"], 1);
        assert_eq!(here.done().await, (number, number));
    }
    for number in 1..=20 {
        assert_eq!(there.done().await, (number, number), "the sweep finds it");
    }
    until_redis_is(&a, "Degraded").await;
    // A new client is served as well.
    let mut new = Client::connect(&a, "2", WebSockets).await;
    new.ping().await;
    notify(&b, 1, 21).await;
    redis.process.start_again().await.unwrap();
    until_redis_is(&a, "Healthy").await;
    until_redis_is(&b, "Healthy").await;
    notify(&b, 1, 22).await;
    notify(&b, 2, 23).await;
    for number in [21, 22] {
        assert_eq!(there.done().await, (number, number));
        assert_eq!(here.done().await, (number, number));
    }
    assert_eq!(new.done().await, (1, 23));
}

#[tokio::test]
async fn what_redis_lost_is_found_when_it_is_back() {
    let (mut redis, common) = own_redis().await;
    let (a, b) = (common.hub().await, common.hub().await);
    let mut there = Client::connect(&a, "1", WebSockets).await;
    there.ping().await;
    redis.process.kill().await.unwrap();
    until_redis_is(&b, "Degraded").await;
    for number in 1..=20 {
        notify(&b, 1, number).await;
    }
    redis.process.start_again().await.unwrap();
    // No sweep is due for ten minutes: it is the new subscription that looks.
    for number in 1..=20 {
        assert_eq!(there.done().await, (number, number));
    }
}

#[tokio::test]
async fn a_frozen_redis_delays_nobody_here() {
    let (mut redis, common) = own_redis().await;
    let (a, b) = (common.hub().await, common.hub().await);
    let mut there = Client::connect(&a, "1", WebSockets).await;
    let mut here = Client::connect(&b, "1", WebSockets).await;
    there.ping().await;
    here.ping().await;
    redis.process.freeze().await.unwrap();
    for number in 1..=50 {
        notify(&b, 1, number).await;
        assert_eq!(here.done().await, (number, number));
    }
    // Where its limit cannot be asked for, a client is let in.
    let mut new = Client::connect(&b, "2", WebSockets).await;
    new.ping().await;
    redis.process.thaw().await.unwrap();
    notify(&b, 1, 51).await;
    for number in 1..=51 {
        assert_eq!(there.done().await, (number, number));
    }
}
