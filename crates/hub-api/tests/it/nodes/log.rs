//! The log of one user, written at one hub and read at both.

use serde_json::json;

use super::{
    Common,
    client::{ALL, Client, Transport::WebSockets},
    notify,
};

#[tokio::test]
async fn what_is_notified_at_one_hub_arrives_at_the_other_over_every_transport() {
    let common = Common::new().await;
    let (a, b) = (common.hub().await, common.hub().await);
    for (user, transport) in (1..).zip(ALL) {
        let mut there = Client::connect(&a, &user.to_string(), transport).await;
        let mut here = Client::connect(&b, &user.to_string(), WebSockets).await;
        there.ping().await;
        here.ping().await;
        for number in 1..=20 {
            let answer = notify(&b, user, number).await;
            assert_eq!(answer["sequence"], number);
        }
        notify(&a, user, 21).await;
        for sequence in 1..=21 {
            let expected = (sequence, sequence);
            assert_eq!(there.done().await, expected, "{transport:?}");
            assert_eq!(here.done().await, expected, "{transport:?}");
        }
    }
}

#[tokio::test]
async fn both_hubs_write_at_the_same_time_and_everybody_reads_one_order() {
    let common = Common::new().await;
    let (a, b) = (common.hub().await, common.hub().await);
    let mut first = Client::connect(&a, "1", WebSockets).await;
    let mut second = Client::connect(&b, "1", WebSockets).await;
    first.ping().await;
    second.ping().await;
    let writing = |hub, from| async move {
        for number in from..from + 50 {
            notify(hub, 1, number).await;
        }
    };
    tokio::join!(writing(&a, 0), writing(&b, 1000));
    for sequence in 1..=100 {
        let read = first.done().await;
        assert_eq!(read.0, sequence);
        assert_eq!(second.done().await, read);
    }
}

#[tokio::test]
async fn progress_reaches_every_client_of_the_owner_once() {
    let common = Common::new().await;
    let (a, b) = (common.hub().await, common.hub().await);
    let mut clients = [
        Client::connect(&a, "42", WebSockets).await,
        Client::connect(&b, "42", WebSockets).await,
    ];
    let mut stranger = Client::connect(&a, "43", WebSockets).await;
    for client in clients.iter_mut().chain([&mut stranger]) {
        client.ping().await;
    }
    let progress = |percent: i64| {
        let notification = json!({"analysisId": 5, "status": "Processing", "percent": percent});
        json!({"userId": 42, "notification": notification})
    };
    let answer = b.call("/internal/notify", &progress(10), 202).await;
    assert_eq!(answer["connections"], 1, "those of this hub are counted");
    a.call("/internal/notify", &progress(20), 202).await;
    for client in &mut clients {
        let mut percents = Vec::new();
        for _ in 0..2 {
            let (event, argument) = client.event().await;
            assert_eq!(event, "ReceiveAnalysisProgress");
            percents.push(argument["percent"].as_i64().unwrap());
        }
        percents.sort_unstable();
        assert_eq!(percents, [10, 20]);
    }
    notify(&b, 42, 1).await;
    notify(&b, 43, 1).await;
    for client in clients.iter_mut().chain([&mut stranger]) {
        assert_eq!(client.done().await, (1, 1), "nothing else came before");
    }
}

#[tokio::test]
async fn what_was_confirmed_at_one_hub_is_not_sent_again_by_the_other() {
    let common = Common::new().await;
    let (mut a, b) = (common.hub().await, common.hub().await);
    let mut client = Client::connect(&a, "1", WebSockets).await;
    client.ping().await;
    notify(&b, 1, 1).await;
    assert_eq!(client.done().await, (1, 1));
    // The Pong to the Ping behind it came before this.
    client.ping().await;
    a.shutdown.begin();
    let close = client.close().await.expect("a Close message");
    assert_eq!(close["allowReconnect"], true);
    a.left().await.unwrap();
    let mut client = Client::connect(&b, "1", WebSockets).await;
    client.ping().await;
    notify(&b, 1, 2).await;
    assert_eq!(client.done().await, (2, 2));
}

#[tokio::test]
async fn hubs_that_share_only_their_database_find_what_the_others_wrote() {
    let mut common = Common::new().await;
    (common.redis, common.sweep) = (None, "0.2");
    let (a, b) = (common.hub().await, common.hub().await);
    let mut client = Client::connect(&a, "1", WebSockets).await;
    client.ping().await;
    for number in 1..=3 {
        notify(&b, 1, number).await;
    }
    for number in 1..=3 {
        assert_eq!(client.done().await, (number, number));
    }
    // More than is handed over without regard to the client's pace.
    for number in 4..=100 {
        notify(&b, 1, number).await;
    }
    for number in 4..=100 {
        assert_eq!(client.done().await, (number, number));
    }
}

#[tokio::test]
async fn hints_of_another_database_on_the_same_redis_mean_nothing() {
    let (common, mut other) = (Common::new().await, Common::new().await);
    other.prefix.clone_from(&common.prefix);
    let (hub, stranger) = (common.hub().await, other.hub().await);
    let mut client = Client::connect(&hub, "1", WebSockets).await;
    client.ping().await;
    for number in 1..=5 {
        notify(&stranger, 1, 100 + number).await;
    }
    notify(&hub, 1, 1).await;
    assert_eq!(client.done().await, (1, 1));
}
