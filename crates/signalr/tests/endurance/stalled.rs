//! Clients that stop reading: bounded memory, nobody waits for them, and they
//! are closed with a reason.

use std::time::Duration;

use signalr::{ConnectionId, DisconnectReason, HubOptions};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::ALONE;
use crate::bench::Bench;
use crate::client::{JSON, MESSAGEPACK, get, narrow, negotiate, post, shaken, wide};
use crate::peer::Peer;
use crate::process;

/// What may wait for one client.
const QUEUE: usize = 256 * 1024;

/// Stalled clients of each of four sorts.
const EACH: usize = 15;

fn options() -> HubOptions {
    HubOptions {
        maximum_send_queue_size: QUEUE,
        transport_send_timeout: Some(Duration::from_secs(2)),
        keep_alive_interval: Duration::from_secs(1),
        disconnect_timeout: Duration::from_secs(3),
        ..HubOptions::default()
    }
}

fn too_slow() -> DisconnectReason {
    DisconnectReason::Error {
        exception: "TimeoutException",
        message: "The client reads too slowly.".to_owned(),
    }
}

/// A client that shook hands and reads nothing from then on. Its socket, where
/// it has one, stays open as long as this lives.
struct Stalled {
    id: ConnectionId,
    _peer: Option<Peer>,
}

async fn stalled_web_socket(bench: &Bench, handshake: &[u8]) -> Stalled {
    let (id, token) = negotiate(bench.address).await;
    let peer = shaken(
        narrow(bench.address).await,
        &format!("?id={token}"),
        handshake,
    )
    .await;
    Stalled {
        id,
        _peer: Some(peer),
    }
}

async fn stalled_event_stream(bench: &Bench) -> Stalled {
    let (id, token) = negotiate(bench.address).await;
    let mut peer = narrow(bench.address).await;
    peer.write(get(&token, "text/event-stream")).await;
    assert_eq!(peer.head().await.unwrap().0, 200);
    assert_eq!(post(bench.address, &token, JSON).await, 200);
    Stalled {
        id,
        _peer: Some(peer),
    }
}

/// It polls once to attach, and never again.
async fn stalled_poller(bench: &Bench) -> Stalled {
    let (id, token) = negotiate(bench.address).await;
    let mut peer = wide(bench.address).await;
    assert_eq!(peer.ask(get(&token, "*/*")).await.status, 200);
    assert_eq!(post(bench.address, &token, JSON).await, 200);
    Stalled { id, _peer: None }
}

async fn stall(bench: &Bench) -> Vec<Stalled> {
    let mut stalled = Vec::new();
    for _ in 0..EACH {
        stalled.push(stalled_web_socket(bench, JSON).await);
        stalled.push(stalled_web_socket(bench, MESSAGEPACK).await);
        stalled.push(stalled_event_stream(bench).await);
        stalled.push(stalled_poller(bench).await);
    }
    stalled
}

/// A client that reads: it tells the number of the last event that it got, and
/// fails when one is missing.
struct Reader {
    count: u64,
    told: watch::Sender<u64>,
}

impl Reader {
    /// Takes what came and looks for whole events.
    fn take(&mut self, text: &mut String) {
        while let Some(end) = text.find('\x1e') {
            let message: String = text.drain(..=end).collect();
            let Some((_, rest)) = message.split_once("\"arguments\":[") else {
                continue;
            };
            let number = rest.split_once(',').unwrap().0;
            assert_eq!(number, self.count.to_string(), "in order, none missing");
            self.count += 1;
        }
        self.told.send_replace(self.count);
    }
}

/// Starts a reader for each transport; gives how far each is.
async fn readers(bench: &Bench, tasks: &mut JoinSet<()>) -> Vec<watch::Receiver<u64>> {
    let mut progress = Vec::new();
    let mut reader = || {
        let (told, receiver) = watch::channel(0);
        progress.push(receiver);
        Reader { count: 0, told }
    };
    let mut of_web_socket = reader();
    let mut peer = shaken(wide(bench.address).await, "", JSON).await;
    tasks.spawn(async move {
        let mut text = String::new();
        while let Some((_, payload)) = peer.frame().await {
            text.push_str(&String::from_utf8_lossy(&payload));
            of_web_socket.take(&mut text);
        }
    });
    let mut of_events = reader();
    let (_, token) = negotiate(bench.address).await;
    let mut peer = wide(bench.address).await;
    peer.write(get(&token, "text/event-stream")).await;
    assert_eq!(peer.head().await.unwrap().0, 200);
    assert_eq!(post(bench.address, &token, JSON).await, 200);
    tasks.spawn(async move {
        let mut text = String::new();
        while let Some(chunk) = peer.chunk().await {
            text.push_str(&String::from_utf8_lossy(&chunk));
            of_events.take(&mut text);
        }
    });
    let mut of_polls = reader();
    let (_, token) = negotiate(bench.address).await;
    let mut peer = wide(bench.address).await;
    assert_eq!(peer.ask(get(&token, "*/*")).await.status, 200);
    assert_eq!(post(bench.address, &token, JSON).await, 200);
    tasks.spawn(async move {
        loop {
            let answer = peer.ask(get(&token, "*/*")).await;
            assert_eq!(answer.status, 200);
            of_polls.take(&mut answer.body.clone());
        }
    });
    progress
}

/// Sends numbered events of a kilobyte to all. The readers set the pace, the
/// stalled clients never do. Gives the most that waited for any client.
async fn broadcast(
    bench: &Bench,
    progress: &mut [watch::Receiver<u64>],
    from: u64,
    to: u64,
) -> usize {
    let filler = "x".repeat(1024);
    let mut most = 0;
    for number in from..to {
        bench
            .hub
            .context()
            .all()
            .send("Tick", (number, &filler))
            .await;
        most = most.max(bench.most_waiting());
        if number % 32 == 31 {
            for reader in &mut *progress {
                reader.wait_for(|count| *count > number).await.unwrap();
            }
        }
    }
    for reader in progress {
        reader.wait_for(|count| *count == to).await.unwrap();
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_closes_those_who_do_not_read_and_delays_nobody_else() {
    let _alone = ALONE.lock().await;
    let bench = Bench::start(options());
    let mut tasks = JoinSet::new();
    let mut progress = readers(&bench, &mut tasks).await;
    let stalled = stall(&bench).await;
    let before = process::resident();
    let most = broadcast(&bench, &mut progress, 0, 2_048).await;
    // The message that fills a queue still goes in.
    assert!(most <= QUEUE + 2_048, "{most} bytes waited");
    assert!(most > QUEUE / 2, "{most} bytes waited: nobody was slow");
    // One copy of a message serves all: far less than a queue for each.
    let grown = process::resident().saturating_sub(before);
    assert!(grown < 24 << 20, "grown by {grown} bytes");
    for client in &stalled {
        assert_eq!(bench.end_of(client.id).await, too_slow());
    }
    let most = broadcast(&bench, &mut progress, 2_048, 2_560).await;
    assert!(
        most <= 64 * 1024,
        "{most} bytes waited for a client that reads"
    );
    assert_eq!(bench.hub.connection_count(), progress.len());
    while let Some(failed) = tasks.try_join_next() {
        failed.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trickle_closes_them_as_well() {
    let _alone = ALONE.lock().await;
    let bench = Bench::start(options());
    let mut tasks = JoinSet::new();
    let mut progress = readers(&bench, &mut tasks).await;
    let stalled = stall(&bench).await;
    // More than a socket takes, less than a queue.
    broadcast(&bench, &mut progress, 0, 160).await;
    for (number, client) in stalled.iter().enumerate() {
        let reason = bench.end_of(client.id).await;
        // A client between two polls is gone, not slow.
        let polls = number % 4 == 3;
        let expected = if polls {
            DisconnectReason::Graceful
        } else {
            too_slow()
        };
        assert_eq!(reason, expected, "client {number}");
    }
    broadcast(&bench, &mut progress, 160, 320).await;
    assert_eq!(bench.hub.connection_count(), progress.len());
}

/// Who asks for more than it reads is read no further, and closed in the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_and_does_not_read() {
    let _alone = ALONE.lock().await;
    let bench = Bench::start(options());
    let (id, token) = negotiate(bench.address).await;
    let mut peer = shaken(narrow(bench.address).await, &format!("?id={token}"), JSON).await;
    let asking = tokio::spawn(async move {
        for number in 0..10_000 {
            let ask = crate::client::invocation(&number.to_string(), "Make", "20000");
            peer.send(crate::peer::TEXT, &ask).await;
        }
        peer
    });
    let reason = bench.end_of(id);
    tokio::pin!(reason);
    let reason = loop {
        tokio::select! {
            reason = &mut reason => break reason,
            () = tokio::time::sleep(Duration::from_millis(10)) => {
                let most = bench.most_waiting();
                assert!(most <= 64 * 1024 + 21_000, "{most} bytes waited");
            }
        }
    };
    assert_eq!(reason, too_slow());
    asking.abort();
}

/// Waits until so many are called slow.
async fn slow_clients(bench: &Bench, count: usize) {
    while bench.hub.slow_client_count() != count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_stand_still_are_called_slow_until_they_read() {
    let _alone = ALONE.lock().await;
    let bench = Bench::start(HubOptions {
        maximum_send_queue_size: 4 * QUEUE,
        transport_send_timeout: None,
        ..options()
    });
    let mut peer = shaken(narrow(bench.address).await, "", JSON).await;
    let mut reader = shaken(wide(bench.address).await, "", JSON).await;
    let reads = tokio::spawn(async move { while reader.frame().await.is_some() {} });
    assert_eq!(bench.hub.slow_client_count(), 0);
    // More than sockets take, less than half of the queue: its write stands still.
    let filler = "x".repeat(1024);
    let all = bench.hub.context().all();
    for _ in 0..QUEUE / 1024 {
        all.send("Tick", (&filler,)).await;
    }
    slow_clients(&bench, 1).await;
    let client = tokio::spawn(async move { while peer.frame().await.is_some() {} });
    slow_clients(&bench, 0).await;
    assert_eq!(bench.hub.connection_count(), 2);
    client.abort();
    reads.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_for_whom_half_a_queue_waits_is_slow_at_once() {
    let _alone = ALONE.lock().await;
    let bench = Bench::start(options());
    let _stalled = stalled_poller(&bench).await;
    let filler = "x".repeat(QUEUE / 8);
    let all = bench.hub.context().all();
    for waiting in 1..=5 {
        all.send("Tick", (&filler,)).await;
        let slow = bench.hub.slow_client_count();
        assert_eq!(slow, usize::from(waiting >= 4), "{waiting} eighths wait");
    }
}
