//! Ten thousand clients of forty and more kinds that break the rules. Each
//! kind has the end that it must come to; afterwards no connection, no file
//! and no memory is left of them, and a client beside them noticed nothing.

mod kinds;
mod frames;
mod messages;
mod requests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signalr::HubOptions;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::kinds::{Kind, all};
use crate::ALONE;
use crate::bench::Bench;
use crate::client::{JSON, invocation, shaken, wide};
use crate::peer::TEXT;
use crate::process;

const CLIENTS: usize = 10_000;

/// Those after which memory is looked at for the first time: allocators and
/// tables have their size by then.
const WARM_UP: usize = 6_000;

/// What each client after them may leave: less than a connection that was
/// forgotten would take.
const LEFT_BY_EACH: usize = 2_000;

/// As many at a time.
const AT_ONCE: usize = 400;

fn options() -> HubOptions {
    HubOptions {
        handshake_timeout: Duration::from_secs(5),
        disconnect_timeout: Duration::from_secs(4),
        transport_send_timeout: Some(Duration::from_secs(1)),
        web_socket_close_timeout: Duration::from_secs(1),
        ..HubOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_malformed_clients_leave_the_server_as_it_was() {
    let _alone = ALONE.lock().await;
    process::count_panics();
    let kinds: Arc<[Kind]> = all().into();
    assert!(kinds.len() >= 40, "{} kinds", kinds.len());
    let bench = Bench::start(options());
    let over = Arc::new(AtomicBool::new(false));
    let beside = tokio::spawn(well_behaved(bench.address, Arc::clone(&over)));
    let ticking = tokio::spawn(tick(bench.hub.context()));

    let files = process::open_files();
    run(&bench, &kinds, 0..WARM_UP).await;
    let resident = process::resident();
    run(&bench, &kinds, WARM_UP..CLIENTS).await;
    let grown = process::resident().saturating_sub(resident);
    assert!(
        grown < (CLIENTS - WARM_UP) * LEFT_BY_EACH,
        "{grown} bytes are left of the malformed clients"
    );
    let left = process::open_files();
    assert!(left <= files + 2, "{files} files were open, {left} are now");

    over.store(true, Ordering::Relaxed);
    let echoed = beside.await.unwrap();
    assert!(echoed > 100, "the client beside them got {echoed} answers");
    ticking.abort();
    until_left(&bench, 0).await;
    assert_eq!(process::panics(), 0);
}

/// Runs the clients of these numbers and waits until nothing is left of them.
async fn run(bench: &Bench, kinds: &Arc<[Kind]>, numbers: std::ops::Range<usize>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut clients = JoinSet::new();
    for number in numbers {
        let permit = Arc::clone(&room).acquire_owned().await.unwrap();
        let (kinds, address) = (Arc::clone(kinds), bench.address);
        clients.spawn(async move {
            let kind = &kinds[number % kinds.len()];
            let ended = timeout(Duration::from_secs(60), (kind.client)(address)).await;
            drop(permit);
            let ended = ended.unwrap_or_else(|_| "it does not end".to_owned());
            (kind.name, kind.end, ended)
        });
    }
    let mut wrong = BTreeSet::new();
    while let Some(client) = clients.join_next().await {
        let (name, end, ended) = client.unwrap();
        if ended != end {
            wrong.insert(format!("{name}: {ended:?} instead of {end:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The client beside them stays.
    until_left(bench, 1).await;
}

async fn until_left(bench: &Bench, connections: usize) {
    while bench.hub.connection_count() != connections {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Echoes and gets every event of its group, in order; gives how many answers
/// it had.
async fn well_behaved(address: SocketAddr, over: Arc<AtomicBool>) -> usize {
    let mut peer = shaken(wide(address).await, "", JSON).await;
    peer.send(TEXT, &invocation("join", "Join", "\"good\""))
        .await;
    let (mut echoed, mut ticks, mut text) = (0, None, String::new());
    peer.send(TEXT, &invocation("0", "Echo", "\"good\"")).await;
    while !over.load(Ordering::Relaxed) {
        let (_, payload) = peer.frame().await.expect("it is not closed");
        text.push_str(std::str::from_utf8(&payload).unwrap());
        while let Some(end) = text.find('\x1e') {
            let message: String = text.drain(..=end).collect();
            if let Some((_, number)) = message.split_once("\"arguments\":[") {
                let number: u64 = number.split(']').next().unwrap().parse().unwrap();
                assert_eq!(number, *ticks.get_or_insert(number), "no event is missing");
                ticks = Some(number + 1);
            } else if message.contains(&format!("\"invocationId\":\"{echoed}\"")) {
                assert!(message.contains("\"result\":\"good\""));
                echoed += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
                let echo = invocation(&echoed.to_string(), "Echo", "\"good\"");
                peer.send(TEXT, &echo).await;
            }
        }
    }
    echoed
}

async fn tick(hub: signalr::HubContext) {
    for number in 0_u64.. {
        hub.group("good").send("Tick", (number,)).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
