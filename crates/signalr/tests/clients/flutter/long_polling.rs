//! Its long polling: a time in the address, text bodies under a JSON label,
//! answers that must say UTF-8, and a DELETE at the end.

use std::time::Duration;

use signalr::HubOptions;

use super::{ALICE, request, text, token};
use crate::peer::Answer;
use crate::server::Server;

/// The client's requests for one connection, each on a socket of its own, as
/// it makes a new HTTP client for each.
struct Phone<'a> {
    server: &'a Server,
    url: String,
}

impl<'a> Phone<'a> {
    async fn connect(server: &'a Server, path: &str) -> Self {
        let url = format!("{path}?id={}", token(server, path).await);
        let phone = Self { server, url };
        // `connect` waits for the first poll.
        let first = phone.poll().await;
        assert_eq!((first.status, &*first.body), (200, ""));
        phone.post("{\"protocol\":\"json\",\"version\":1}").await;
        assert_eq!(phone.poll().await.body, "{}\x1e");
        phone
    }

    async fn ask(&self, line: &str, headers: &str, body: &[u8]) -> Answer {
        let mut peer = self.server.peer().await;
        peer.ask(request(self.server, line, headers, body)).await
    }

    async fn poll(&self) -> Answer {
        let line = format!("GET {}&_=2026-11-20%2012:34:56.789012", self.url);
        self.ask(&line, ALICE, b"").await
    }

    async fn post(&self, json: &str) {
        let headers =
            "content-type: application/json;charset=UTF-8\r\nAuthorization: Bearer alice\r\n";
        let answer = self
            .ask(&format!("POST {}", self.url), headers, &text(json))
            .await;
        assert_eq!((answer.status, &*answer.body), (200, ""));
    }
}

#[tokio::test]
async fn a_conversation() {
    let server = Server::start().await;
    let phone = Phone::connect(&server, "/golden-auth").await;
    phone
        .post(
            "{\"type\":1,\"headers\":{},\"invocationId\":\"0\",\"target\":\"Echo\",\
             \"arguments\":[\"Растение\"],\"streamIds\":[]}",
        )
        .await;
    let answer = phone.poll().await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        "{\"type\":3,\"invocationId\":\"0\",\"result\":\"Растение\"}\x1e"
    );
    // Dart reads a body as Latin-1 unless its type says otherwise.
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .contains("charset=utf-8")
    );
    // `stop` gives its poll up, then deletes.
    let line = format!("DELETE {}", phone.url);
    let deleted = phone.ask(&line, ALICE, b"").await;
    assert_eq!((deleted.status, &*deleted.body), (202, ""));
    assert_eq!(phone.poll().await.status, 404);
}

/// A poll that ends late ends the client's connection: it gives one 100 s.
#[tokio::test]
async fn a_poll_with_nothing_to_tell_ends_in_time_and_is_repeated() {
    assert!(HubOptions::default().poll_timeout <= Duration::from_secs(90));
    let server = Server::start().await;
    let phone = Phone::connect(&server, "/golden-short").await;
    let empty = phone.poll().await;
    assert_eq!((empty.status, &*empty.body), (200, ""));
    phone
        .post(
            "{\"type\":1,\"headers\":{},\"invocationId\":\"0\",\"target\":\"Add\",\
             \"arguments\":[2,3],\"streamIds\":[]}",
        )
        .await;
    assert_eq!(
        phone.poll().await.body,
        "{\"type\":3,\"invocationId\":\"0\",\"result\":5}\x1e"
    );
}

/// 204 is the end, after the Close message was fetched.
#[tokio::test]
async fn an_end_is_a_message_and_then_204() {
    let server = Server::start().await;
    let phone = Phone::connect(&server, "/golden").await;
    server.drain();
    assert_eq!(
        phone.poll().await.body,
        "{\"type\":7,\"allowReconnect\":true}\x1e"
    );
    assert_eq!(phone.poll().await.status, 204);
}
