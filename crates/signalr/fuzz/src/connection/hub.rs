//! The hubs that clients talk to, with the method names of the recordings in
//! `tests/goldens`, whose bytes the corpus began with.

use std::cell::Cell;
use std::future::ready;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use serde_json::Value;
use signalr::{
    CancellationToken, Context, Groups, Hub, HubBuilder, HubError, HubOptions, HubServer, Upload,
};

struct Echoes;
impl Hub for Echoes {}

thread_local! {
    /// Rises whenever a method that takes long gets on.
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// How far all methods got.
pub(super) fn steps() -> u64 {
    STEPS.get()
}

fn step() {
    STEPS.set(STEPS.get() + 1);
}

/// Every method ends in the turn in which it begins.
pub(super) fn prompt() -> HubServer {
    build(methods(HubServer::builder(Echoes)))
}

/// With methods that take turns, streams that wait, and uploads.
pub(super) fn full() -> HubServer {
    build(
        methods(HubServer::builder(Echoes))
            .method("Slow", slow)
            .method("Upload", upload)
            .streaming_method("UploadEcho", upload_echo)
            .streaming_method("StreamForever", forever)
            .streaming_method("StreamSlow", stream_slow),
    )
}

fn build(builder: HubBuilder<Echoes>) -> HubServer {
    let never = Duration::from_secs(3600);
    let options = HubOptions {
        handshake_timeout: never,
        keep_alive_interval: never,
        client_timeout_interval: never,
        disconnect_timeout: never,
        poll_timeout: never,
        maximum_receive_message_size: Some(1024),
        enable_detailed_errors: true,
        allow_stateful_reconnects: true,
        ..HubOptions::default()
    };
    builder
        .options(options)
        .build()
        .expect("the options are valid")
}

fn methods(builder: HubBuilder<Echoes>) -> HubBuilder<Echoes> {
    builder
        .method("Echo", async |value: Value| value)
        .method("Add", async |a: i32, b: i32| a.wrapping_add(b))
        .method("Void", async || {})
        .method("Throw", throw)
        .method("SendCaller", send_caller)
        .method("AddToGroup", add_to_group)
        .method("SendGroup", send_group)
        .streaming_method("Stream", count)
}

async fn throw() -> Result<(), HubError> {
    Err(HubError::new("bang"))
}

async fn send_caller(context: Context, text: String) {
    context.clients().caller().send("Message", (text,)).await;
}

async fn add_to_group(context: Context, groups: Groups, group: String) {
    groups.add(context.connection_id(), &group).await;
}

async fn send_group(context: Context, group: String, text: String) {
    context
        .clients()
        .group(&group)
        .send("Message", (text,))
        .await;
}

async fn count(items: i32) -> impl Stream<Item = i32> + Send + 'static {
    stream::iter(0..items.clamp(0, 3))
}

async fn slow(turns: u8) -> u8 {
    for _ in 0..turns % 8 {
        step();
        tokio::task::yield_now().await;
    }
    turns
}

async fn stream_slow(items: u8) -> impl Stream<Item = u8> + Send + 'static {
    stream::iter(0..items % 8).then(async |item| slow(item).await)
}

async fn forever(token: CancellationToken) -> impl Stream<Item = i32> + Send + 'static {
    let end = async move {
        token.cancelled().await;
        None
    };
    stream::once(ready(Some(0)))
        .chain(stream::once(end))
        .filter_map(ready)
}

async fn upload(mut numbers: Upload<i32>) -> Result<i32, HubError> {
    let mut sum = 0_i32;
    while let Some(number) = numbers.next().await {
        step();
        let number = number.map_err(|error| HubError::new(error.to_string()))?;
        sum = sum.wrapping_add(number);
    }
    Ok(sum)
}

async fn upload_echo(
    items: Upload<Value>,
) -> impl Stream<Item = Result<Value, HubError>> + Send + 'static {
    items.map(|item| {
        step();
        item.map_err(|error| HubError::new(error.to_string()))
    })
}
