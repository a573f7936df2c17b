//! A head of a request has its time, and so has a connection between two
//! requests; neither is taken for the other.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::harness::Hub;

const REQUEST: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

/// Sends a request and reads its answer, which is small and comes in one piece
/// or two.
async fn answered(stream: &mut TcpStream) {
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert_ne!(read, 0, "closed before the answer was whole");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// Waits for the hub to close, however it does so.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    let _ = end.expect("the hub closes");
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn an_idle_connection_outlives_the_time_of_a_head_and_ends_after_its_own() {
    let hub = Hub::with(&[
        ("Server__HeaderTimeout", "200ms"),
        ("Server__IdleTimeout", "4s"),
    ])
    .await;
    let mut stream = TcpStream::connect(hub.address()).await.unwrap();
    for _ in 0..3 {
        answered(&mut stream).await;
        sleep(Duration::from_millis(800)).await;
    }
    answered(&mut stream).await;
    closed(&mut stream).await;
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off_also_behind_a_good_request() {
    let hub = Hub::with(&[
        ("Server__HeaderTimeout", "300ms"),
        ("Server__IdleTimeout", "1h"),
    ])
    .await;
    let mut stream = TcpStream::connect(hub.address()).await.unwrap();
    answered(&mut stream).await;
    let (mut from, mut to) = stream.into_split();
    // It never pauses, so that only the time of the whole head ends it.
    let dribble = tokio::spawn(async move {
        let _ = to.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await;
        while to.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    let mut rest = Vec::new();
    let end = timeout(Duration::from_secs(20), from.read_to_end(&mut rest)).await;
    let _ = end.expect("the hub closes");
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    dribble.abort();
}
