//! A .NET server on the same Redis: what it publishes is understood here, and
//! what is published here is what it reads.
//!
//! The bytes are written by hand from the format of
//! `Microsoft.AspNetCore.SignalR.StackExchangeRedis`.

use std::time::Duration;

use futures_util::StreamExt as _;
use private_services::Redis;
use redis::aio::{PubSub, PubSubStream};
use signalr::protocol::HubProtocol::{Json, MessagePack};
use signalr_redis::RedisOptions;

use crate::{
    client::{Client, PATIENCE},
    node::{HUB, Node, options},
};

/// A server of .NET, as far as Redis is concerned.
struct DotNet {
    options: RedisOptions,
    client: redis::Client,
}

impl DotNet {
    async fn publish(&self, channel: &str, payload: &[u8]) -> usize {
        let channel = format!("{}{HUB}:{channel}", self.options.channel_prefix);
        let mut connection = self
            .client
            .get_multiplexed_async_connection()
            .await
            .unwrap();
        redis::cmd("PUBLISH")
            .arg(channel)
            .arg(payload)
            .query_async(&mut connection)
            .await
            .unwrap()
    }

    async fn subscribe(&self, channel: &str) -> PubSubStream {
        let channel = format!("{}{HUB}:{channel}", self.options.channel_prefix);
        let mut subscriber: PubSub = self.client.get_async_pubsub().await.unwrap();
        subscriber.subscribe(channel).await.unwrap();
        subscriber.into_on_message()
    }
}

async fn node_and_dotnet() -> (Node, DotNet) {
    let url = Redis::shared().await.url();
    let options = options(&url);
    let node = Node::start(options.clone()).await;
    let client = redis::Client::open(url).unwrap();
    (node, DotNet { options, client })
}

async fn next(stream: &mut PubSubStream) -> Vec<u8> {
    let message = tokio::time::timeout(PATIENCE, stream.next()).await;
    message
        .expect("something is published")
        .unwrap()
        .get_payload_bytes()
        .to_vec()
}

/// `M(7)` in both protocols, as SignalR for .NET frames it.
const JSON: &[u8] = b"{\"type\":1,\"target\":\"M\",\"arguments\":[7]}\x1e";
const MESSAGE_PACK: &[u8] = b"\x09\x96\x01\x80\xc0\xa1M\x91\x07\x90";

fn frames() -> Vec<u8> {
    [
        b"\x82\xa4json\xc4\x28",
        JSON,
        b"\xabmessagepack\xc4\x0a",
        MESSAGE_PACK,
    ]
    .concat()
}

#[tokio::test]
async fn clients_get_what_a_dotnet_server_publishes() {
    let (node, dotnet) = node_and_dotnet().await;
    let mut ann = Client::connect(node.address, "ann", Json).await;
    let mut ben = Client::connect(node.address, "ben", MessagePack).await;
    ben.invoke("Join", ("garden",)).await;

    let plain = [b"\x92\x90".as_slice(), &frames()].concat();
    assert_eq!(dotnet.publish("all", &plain).await, 1);
    assert_eq!(dotnet.publish("user:ann", &plain).await, 1);
    assert_eq!(dotnet.publish("group:garden", &plain).await, 1);
    assert_eq!(
        dotnet
            .publish(&format!("connection:{}", ann.id), &plain)
            .await,
        1
    );
    let but_ann = [b"\x92\x91\xb6", ann.id.as_str().as_bytes(), &frames()].concat();
    assert_eq!(dotnet.publish("all", &but_ann).await, 1);
    assert_eq!(dotnet.publish("user:nobody", &plain).await, 0);
    node.hub.context().all().send("End", ()).await;

    for client in [&mut ann, &mut ben] {
        for _ in 0..3 {
            assert_eq!(client.event().await, ("M".to_owned(), vec![7.into()]));
        }
        client.expect("End").await;
    }
}

#[tokio::test]
async fn a_dotnet_server_reads_what_is_published_here() {
    let (node, dotnet) = node_and_dotnet().await;
    let mut everything = dotnet.subscribe("all").await;
    let mut users = dotnet.subscribe("user:ann").await;
    let hub = node.hub.context();
    hub.all().send("M", (7,)).await;
    let published = next(&mut everything).await;
    let (start, origin) = published.split_at(1 + 1 + frames().len());
    assert_eq!(start, [b"\x93\x90".as_slice(), &frames()].concat());
    // The extra item: a string of 32 digits.
    assert_eq!((&origin[..2], origin.len()), (b"\xd9\x20".as_slice(), 34));

    hub.user("ann").send("M", (7,)).await;
    assert_eq!(next(&mut users).await, published);
}

#[tokio::test]
async fn a_dotnet_server_may_ask_a_client_of_this_node() {
    let (node, dotnet) = node_and_dotnet().await;
    let mut ann = Client::connect(node.address, "ann", Json).await;
    let mut answers = dotnet.subscribe("internal:return:web_00").await;
    let json = b"{\"type\":1,\"invocationId\":\"s1\",\"target\":\"Q\",\"arguments\":[]}\x1e";
    let channel = format!("{HUB}:internal:return:web_00");
    let payload = [
        b"\x94\x90\x81\xa4json\xc4".as_slice(),
        &[u8::try_from(json.len()).unwrap()],
        json.as_slice(),
        b"\xa2s1\xd9",
        &[u8::try_from(channel.len()).unwrap()],
        channel.as_bytes(),
    ]
    .concat();
    assert_eq!(
        dotnet
            .publish(&format!("connection:{}", ann.id), &payload)
            .await,
        1
    );
    assert_eq!(ann.question().await, "s1");
    ann.answer("s1", "yes").await;
    let frame = b"{\"type\":3,\"invocationId\":\"s1\",\"result\":\"yes\"}\x1e";
    let head = [
        b"\x92\xa4json\xc4",
        &[u8::try_from(frame.len()).unwrap()][..],
    ]
    .concat();
    assert_eq!(next(&mut answers).await, [&head[..], frame].concat());
}

#[tokio::test]
async fn a_dotnet_server_may_be_asked() {
    let (node, dotnet) = node_and_dotnet().await;
    let id = signalr::ConnectionId::parse("DotNetDotNetDotNetDotN").unwrap();
    let mut questions = dotnet.subscribe(&format!("connection:{id}")).await;
    let client = node.hub.context().client(id);
    let asking = client.invoke::<String, _>("Q", ());
    let answering = async {
        let question = bytes::Bytes::from(next(&mut questions).await);
        assert_eq!(question[0], 0x95, "four items for .NET, and one for us");
        let read = signalr_redis::wire::Invocation::read(&question).unwrap();
        let wanted = read.answer.unwrap();
        let json = format!(
            "{{\"type\":3,\"invocationId\":\"{}\",\"result\":\"yes\"}}\u{1e}",
            wanted.invocation_id
        );
        let length = u8::try_from(json.len()).unwrap();
        let payload = [b"\x92\xa4json\xc4", &[length][..], json.as_bytes()].concat();
        let channel = wanted
            .return_channel
            .strip_prefix(&format!("{HUB}:"))
            .unwrap();
        assert_eq!(dotnet.publish(channel, &payload).await, 1);
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer.unwrap(), "yes");
}

#[tokio::test]
async fn group_commands_go_both_ways() {
    let (node, dotnet) = node_and_dotnet().await;
    let mut ann = Client::connect(node.address, "ann", Json).await;
    let mut acks = dotnet.subscribe("internal:ack:web_00").await;
    let id = ann.id.as_str().as_bytes();
    let add = [b"\x95\x05\xa6web_00\x01\xa6garden\xb6", id].concat();
    assert_eq!(dotnet.publish("internal:groups", &add).await, 1);
    assert_eq!(next(&mut acks).await, b"\x91\x05");
    let plain = [b"\x92\x90".as_slice(), &frames()].concat();
    assert_eq!(dotnet.publish("group:garden", &plain).await, 1);
    ann.expect("M").await;

    let mut commands = dotnet.subscribe("internal:groups").await;
    let theirs = signalr::ConnectionId::parse("DotNetDotNetDotNetDotN").unwrap();
    let groups = node.hub.context().groups();
    let adding = groups.try_add(theirs, "garden");
    let acknowledging = async {
        let command = next(&mut commands).await;
        let (start, rest) = command.split_at(2);
        assert_eq!(start, b"\x95\x01");
        assert!(rest.ends_with(b"\x01\xa6garden\xb6DotNetDotNetDotNetDotN"));
        let payload = bytes::Bytes::from(command.clone());
        let read = signalr_redis::wire::GroupCommand::read(&payload).unwrap();
        let channel = format!("internal:ack:{}", read.server);
        assert_eq!(dotnet.publish(&channel, b"\x91\x01").await, 1);
    };
    let (added, ()) = tokio::join!(adding, acknowledging);
    added.unwrap();
}

#[tokio::test]
async fn nonsense_on_a_channel_disturbs_nobody() {
    let (node, dotnet) = node_and_dotnet().await;
    let mut ann = Client::connect(node.address, "ann", Json).await;
    for channel in ["all", "user:ann", "internal:groups"] {
        for payload in [
            b"".as_slice(),
            b"\xc1",
            b"\x92\x90\x81\xa4json\xc4\x02{}",
            &[0xdd; 9],
        ] {
            assert_eq!(dotnet.publish(channel, payload).await, 1);
        }
    }
    tokio::time::timeout(
        Duration::from_secs(5),
        node.hub.context().all().send("End", ()),
    )
    .await
    .unwrap();
    ann.expect("End").await;
}
