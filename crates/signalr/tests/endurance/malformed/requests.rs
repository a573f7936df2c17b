//! Clients whose HTTP is wrong, and those that stay away halfway.

use std::time::Duration;

use super::kinds::{Kind, kind};
use crate::client::{JSON, get, invocation, narrow, negotiate, post, reset, shaken, wide};
use crate::peer::TEXT;

/// Sends a request and tells status and body of the answer.
fn answered(name: &'static str, request: String, end: &'static str) -> Kind {
    kind(name, end, move |address| {
        let request = request.clone();
        async move {
            let mut peer = wide(address).await;
            peer.write(request).await;
            match peer.answer().await {
                Some(answer) => format!("{} {}", answer.status, answer.body),
                None => "closed".to_owned(),
            }
        }
    })
}

pub(super) fn kinds() -> Vec<Kind> {
    let mut kinds = requests();
    kinds.extend(halfway());
    kinds
}

fn requests() -> Vec<Kind> {
    let upgrade = "GET /hub HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    vec![
        answered(
            "a page of somebody else's",
            format!("{upgrade}sec-websocket-version: 13\r\norigin: https://evil.example\r\n\r\n"),
            "403 ",
        ),
        answered(
            "a page of nobody",
            format!("{upgrade}sec-websocket-version: 13\r\norigin: null\r\n\r\n"),
            "403 ",
        ),
        answered(
            "a WebSocket of an older version",
            format!("{upgrade}sec-websocket-version: 8\r\n\r\n"),
            "400 Connection ID required",
        ),
        answered(
            "a poll for a connection that is not",
            get("AAAAAAAAAAAAAAAAAAAAAA", "*/*"),
            "404 No Connection with that ID",
        ),
        answered(
            "an event stream with a token of ten thousand bytes",
            get(&"A".repeat(10_000), "text/event-stream"),
            "404 No Connection with that ID",
        ),
        answered(
            "negotiate by GET",
            "GET /hub/negotiate HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            "405 ",
        ),
        answered(
            "negotiate of a version that is no number",
            "POST /hub/negotiate?negotiateVersion=x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
            "200 {\"error\":\"The client requested a non-integer protocol version.\"}",
        ),
        answered("bytes that are no HTTP", "\x16\x03\x01 hello\r\n\r\n".to_owned(), "400 "),
        answered(
            "a head without an end",
            format!("GET /hub HTTP/1.1\r\nx: {}", "x".repeat(1 << 20)),
            "431 ",
        ),
    ]
}

fn halfway() -> Vec<Kind> {
    vec![
        kind(
            "a connection that is negotiated and left",
            "left",
            |address| async move {
                negotiate(address).await;
                "left".to_owned()
            },
        ),
        kind(
            "a delete before the first poll",
            "400",
            |address| async move {
                let (_, token) = negotiate(address).await;
                let mut peer = wide(address).await;
                let request = format!("DELETE /hub?id={token} HTTP/1.1\r\nhost: x\r\n\r\n");
                peer.ask(request).await.status.to_string()
            },
        ),
        kind("a poll and never another", "404", |address| async move {
            let (_, token) = negotiate(address).await;
            let mut peer = wide(address).await;
            assert_eq!(peer.ask(get(&token, "*/*")).await.status, 200);
            assert_eq!(post(address, &token, JSON).await, 200);
            // Messages of its own do not keep it.
            while post(address, &token, b"{\"type\":6}\x1e").await == 200 {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            peer.ask(get(&token, "*/*")).await.status.to_string()
        }),
        kind("a POST that breaks off", "reset", |address| async move {
            let (_, token) = negotiate(address).await;
            let mut events = wide(address).await;
            events.write(get(&token, "text/event-stream")).await;
            assert_eq!(events.head().await.unwrap().0, 200);
            let mut sending = wide(address).await;
            let head = format!(
                "POST /hub?id={token} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
            );
            sending.write(head).await;
            sending.write(JSON).await;
            reset(sending);
            reset(events);
            "reset".to_owned()
        }),
        kind(
            "a POST over the limit beside an event stream",
            "ended",
            |address| async move {
                let (_, token) = negotiate(address).await;
                let mut events = wide(address).await;
                events.write(get(&token, "text/event-stream")).await;
                assert_eq!(events.head().await.unwrap().0, 200);
                assert_eq!(post(address, &token, JSON).await, 200);
                // Depending on when the end comes, the POST was taken or is told.
                let status = post(address, &token, &[b'x'; 200_000]).await;
                assert!(status == 200 || status == 404, "{status}");
                let mut text = String::new();
                while let Some(chunk) = events.chunk().await
                    && !chunk.is_empty()
                {
                    text.push_str(&String::from_utf8_lossy(&chunk));
                }
                let told = "\"error\":\"Connection closed with an error.\"";
                if text.contains(told) {
                    "ended".to_owned()
                } else {
                    text
                }
            },
        ),
        kind(
            "one that asks and never reads",
            "left",
            |address| async move {
                let mut peer = shaken(narrow(address).await, "", JSON).await;
                for id in 0..20 {
                    peer.send(TEXT, &invocation(&id.to_string(), "Make", "30000"))
                        .await;
                }
                tokio::time::sleep(Duration::from_secs(3)).await;
                reset(peer);
                "left".to_owned()
            },
        ),
    ]
}
