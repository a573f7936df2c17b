//! A hub for what the recordings have no method for: streams that last, a
//! ledger of what came from each client, and values that only MessagePack has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use signalr::{
    Clients, ConnectionId, Context, DisconnectReason, Hub, HubError, HubOptions, HubServer, State,
    Upload,
};

/// What each connection did, for the test to look at.
#[derive(Debug, Default)]
pub(crate) struct Meadow {
    noted: Mutex<HashMap<ConnectionId, Vec<u64>>>,
    uploaded: Mutex<HashMap<ConnectionId, Vec<u64>>>,
    ends: Mutex<HashMap<ConnectionId, DisconnectReason>>,
}

impl Meadow {
    /// The numbers that came by invocation.
    pub(crate) fn noted(&self, id: ConnectionId) -> Vec<u64> {
        self.noted
            .lock()
            .unwrap()
            .get(&id)
            .cloned()
            .unwrap_or_default()
    }

    /// The numbers that came by stream.
    pub(crate) fn uploaded(&self, id: ConnectionId) -> Vec<u64> {
        self.uploaded
            .lock()
            .unwrap()
            .get(&id)
            .cloned()
            .unwrap_or_default()
    }

    fn upload(&self, id: ConnectionId, number: u64) {
        let mut uploaded = self.uploaded.lock().unwrap();
        uploaded.entry(id).or_default().push(number);
    }

    /// How a connection ended.
    pub(crate) fn end_of(&self, id: ConnectionId) -> Option<DisconnectReason> {
        self.ends.lock().unwrap().get(&id).cloned()
    }
}

/// The hub type; the ledger is shared with the test.
struct Shared(Arc<Meadow>);

impl Hub for Shared {
    async fn on_disconnected(&self, context: &Context, reason: &DisconnectReason) {
        let mut ends = self.0.ends.lock().unwrap();
        ends.insert(context.connection_id(), reason.clone());
    }
}

pub(crate) fn hub(meadow: &Arc<Meadow>, options: HubOptions) -> HubServer {
    HubServer::builder(Shared(Arc::clone(meadow)))
        .options(options)
        .method("Note", note)
        .method("Gather", gather)
        .streaming_method("Grow", grow)
        .streaming_method("GrowLater", grow_later)
        .method("Ring", ring)
        .method("WhoAmI", who_am_i)
        .method("Ask", ask)
        .method("EchoPlant", echo_plant)
        .method("EchoBytes", echo_bytes)
        .method("EchoTimestamp", echo_timestamp)
        .build()
        .unwrap()
}

async fn note(meadow: State<Shared>, context: Context, number: u64) {
    let mut noted = meadow.0.noted.lock().unwrap();
    noted
        .entry(context.connection_id())
        .or_default()
        .push(number);
}

/// Takes a stream in and gives the count; also as an event, with the sum, for
/// clients that wait for no answer to a stream.
async fn gather(
    meadow: State<Shared>,
    context: Context,
    clients: Clients,
    mut numbers: Upload<u64>,
) -> Result<u64, HubError> {
    let (mut count, mut sum) = (0, 0);
    while let Some(number) = numbers.next().await {
        let number = number?;
        meadow.0.upload(context.connection_id(), number);
        (count, sum) = (count + 1, sum + number);
    }
    clients.caller().send("Gathered", (count, sum)).await;
    Ok(count)
}

/// Numbers with some text, a few every millisecond.
async fn grow(count: u64) -> impl Stream<Item = (u64, String)> + Send + 'static {
    stream::iter(0..count).then(|number| async move {
        if number.is_multiple_of(2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (number, "leaf".repeat((number % 7) as usize))
    })
}

/// Numbers that begin after a while.
async fn grow_later(count: u64) -> impl Stream<Item = u64> + Send + 'static {
    tokio::time::sleep(Duration::from_millis(300)).await;
    stream::iter(0..count)
}

/// Sends `count` numbered events to the caller, a few every millisecond.
async fn ring(clients: Clients, count: u64) {
    let caller = clients.caller();
    tokio::spawn(async move {
        for number in 0..count {
            if number.is_multiple_of(2) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            caller.send("Bell", (number,)).await;
        }
    });
}

async fn who_am_i(context: Context) -> ConnectionId {
    context.connection_id()
}

async fn ask(clients: Clients) -> Result<i32, HubError> {
    Ok(clients.caller().invoke("Question", ()).await?)
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plant {
    name: String,
    height_metres: f64,
    tags: Vec<String>,
    healthy: Option<bool>,
}

async fn echo_plant(plant: Plant) -> Plant {
    plant
}

async fn echo_bytes(bytes: ByteBuf) -> ByteBuf {
    bytes
}

/// A MessagePack extension value, as the official client writes a `Date`. The
/// name is what rmp-serde knows such values by.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename = "_ExtStruct")]
struct Extension((i8, ByteBuf));

async fn echo_timestamp(timestamp: Extension) -> Extension {
    timestamp
}
