//! Redis.

use std::{collections::BTreeSet, time::Duration};

use private_services::Redis;
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use tokio::{task::JoinSet, time::timeout};

async fn connect(server: &Redis) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn ping(connection: &mut MultiplexedConnection) -> redis::RedisResult<String> {
    connection.ping().await
}

#[tokio::test]
async fn the_shared_server_answers() {
    let (one, other) = tokio::join!(Redis::shared(), Redis::shared());
    assert_eq!(one.url(), other.url());
    assert_eq!(ping(&mut connect(one).await).await.unwrap(), "PONG");
}

#[tokio::test]
async fn it_comes_back_on_its_port() {
    let mut server = Redis::start().await.unwrap();
    let url = server.url();
    let mut connection = connect(&server).await;
    server.process.kill().await.unwrap();
    assert!(ping(&mut connection).await.is_err());
    server.process.start_again().await.unwrap();
    assert_eq!(server.url(), url);
    assert_eq!(ping(&mut connect(&server).await).await.unwrap(), "PONG");
    server.process.stop().await.unwrap();
    assert!(
        server.process.stop().await.is_err(),
        "a server that does not run cannot be stopped"
    );
    server.process.start_again().await.unwrap();
    let mut connection = connect(&server).await;
    server.process.freeze().await.unwrap();
    let question = ping(&mut connection);
    tokio::pin!(question);
    assert!(
        timeout(Duration::from_millis(300), &mut question)
            .await
            .is_err()
    );
    server.process.thaw().await.unwrap();
    assert_eq!(question.await.unwrap(), "PONG");
}

#[tokio::test]
async fn many_at_once_do_not_fight_for_ports() {
    let mut starts = JoinSet::new();
    for _ in 0..8 {
        starts.spawn(Redis::start());
    }
    let servers: Vec<_> = starts
        .join_all()
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let ports: BTreeSet<_> = servers.iter().map(Redis::port).collect();
    assert_eq!(ports.len(), 8);
    for server in &servers {
        ping(&mut connect(server).await).await.unwrap();
    }
}
