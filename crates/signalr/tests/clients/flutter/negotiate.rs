//! What negotiate may offer: the client throws at names that it does not know,
//! and loses its connection id over Server-Sent Events.

use super::{ALICE, PLAIN, negotiate, request};
use crate::peer::member;
use crate::server::Server;

#[tokio::test]
async fn it_is_offered_what_it_can_use() {
    let server = Server::start().await;
    // `/meadow` allows stateful reconnect, which this client never asks for.
    for path in ["/golden", "/meadow"] {
        let answer = negotiate(&server, path, PLAIN).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let id = member(&answer.body, "connectionId");
        let token = member(&answer.body, "connectionToken");
        let offered = format!(
            "{{\"negotiateVersion\":1,\"connectionId\":\"{id}\",\"connectionToken\":\"{token}\",\
             \"availableTransports\":[\
             {{\"transport\":\"WebSockets\",\"transferFormats\":[\"Text\",\"Binary\"]}},\
             {{\"transport\":\"LongPolling\",\"transferFormats\":[\"Text\",\"Binary\"]}}]}}"
        );
        assert_eq!(answer.body, offered);
        // It puts the token into its addresses as it is.
        assert!(
            token
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
    }
}

#[tokio::test]
async fn a_query_of_the_application_stays() {
    let server = Server::start().await;
    let line = "POST /golden/negotiate?tenant=7&negotiateVersion=1";
    let mut peer = server.peer().await;
    let answer = peer.ask(request(&server, line, PLAIN, b"")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("\"negotiateVersion\":1"));
}

#[tokio::test]
async fn without_a_token_it_is_401() {
    let server = Server::start().await;
    assert_eq!(negotiate(&server, "/golden-auth", PLAIN).await.status, 401);
    assert_eq!(negotiate(&server, "/golden-auth", ALICE).await.status, 200);
}

/// An application that forces Server-Sent Events: the client's library replaces
/// the query and with it the id. It gets its answer at once, and nothing hangs.
#[tokio::test]
async fn events_without_an_id_are_refused() {
    let server = Server::start().await;
    let headers = "accept: text/event-stream\r\n";
    let line = "GET /golden?sseClientId=7b2e9d3c-4a51-11f0-9f21-0242ac120002";
    let mut peer = server.peer().await;
    let answer = peer.ask(request(&server, line, headers, b"")).await;
    assert_eq!(
        (answer.status, &*answer.body),
        (400, "Connection ID required")
    );
}
