//! The Flutter client signalr_netcore 1.4.3: its requests and messages byte for
//! byte, as its source and Dart's HTTP library write them, and what it needs
//! back to go on.

mod negotiate;
mod web_socket;
mod long_polling;

use crate::peer::{Answer, member};
use crate::server::Server;

/// A hub message of the text protocol.
fn text(json: &str) -> Vec<u8> {
    [json.as_bytes(), b"\x1e"].concat()
}

/// An HTTP request of Dart's `http` package on a phone: names in lower case,
/// but for those that the client spells itself.
fn request(server: &Server, line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{line} HTTP/1.1\r\n\
         user-agent: Dart/3.9 (dart:io)\r\n\
         X-Requested-With: FlutterHttpClient\r\n\
         {headers}\
         accept-encoding: gzip\r\n\
         content-length: {}\r\n\
         host: {}\r\n\r\n",
        body.len(),
        server.address
    );
    [head.as_bytes(), body].concat()
}

const PLAIN: &str = "content-type: text/plain;charset=UTF-8\r\n";
const ALICE: &str = "content-type: text/plain;charset=UTF-8\r\nAuthorization: Bearer alice\r\n";

/// What the client's `negotiate` gets; each request has a socket of its own.
async fn negotiate(server: &Server, path: &str, headers: &str) -> Answer {
    let line = format!("POST {path}/negotiate?negotiateVersion=1");
    let mut peer = server.peer().await;
    peer.ask(request(server, &line, headers, b"")).await
}

async fn token(server: &Server, path: &str) -> String {
    let answer = negotiate(server, path, ALICE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    member(&answer.body, "connectionToken").to_owned()
}
