//! Answers every WebSocket message with itself, for the Autobahn test suite
//! (`scripts/autobahn.sh`), which judges how well a server speaks RFC 6455:
//!
//! ```text
//! cargo run -p signalr --example echo [address]     # 127.0.0.1:9001
//! ```
//!
//! A hub cannot be judged by that suite: it wants its messages back, and a hub
//! answers with hub messages. The crate's WebSocket codec is private, as its
//! users have no need of it; it stands on its own, so this example compiles
//! the codec's source once more and puts an echo on top.

#[path = "../src/websocket/mod.rs"]
#[expect(dead_code, reason = "an echo sends no pings of its own")]
mod websocket;

use std::io;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use websocket::{Decoder, Event, HEADER_ROOM, Opcode, Violation};

/// The suite's longest messages have 16 MiB.
const MAX_MESSAGE: usize = 32 * 1024 * 1024;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(&address).await?;
    axum::serve(listener, Router::new().fallback(open)).await
}

async fn open(mut request: Request) -> Response {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let accept = key.map(|key| websocket::accept_key(key.as_bytes()));
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let (Some(accept), Some(upgrade)) = (accept, upgrade) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    tokio::spawn(async move {
        // A peer that is gone has no use for what is left to say.
        if let Ok(socket) = upgrade.await {
            let _ = echo(TokioIo::new(socket)).await;
        }
    });
    let accept = HeaderValue::from_str(&accept).expect("base64 is a header value");
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn echo(mut socket: TokioIo<Upgraded>) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut message = vec![0; HEADER_ROOM];
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = socket.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let mut out = Vec::new();
        let end = answer(&mut decoder, &mut buffer[..length], &mut message, &mut out);
        if let Some(code) = end {
            out.extend_from_slice(&websocket::close(code));
        }
        socket.write_all(&out).await?;
        if end.is_some() {
            return socket.shutdown().await;
        }
    }
}

/// Answers what one read brought; gives the close code when that is the end.
fn answer(
    decoder: &mut Decoder,
    mut input: &mut [u8],
    message: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Option<u16> {
    while !input.is_empty() {
        let (taken, event) = match decoder.next(input) {
            Ok(next) => next,
            Err(Violation { code, reason }) => {
                tracing::debug!(code, reason, "the peer broke the protocol");
                return Some(code);
            }
        };
        match event {
            None | Some(Event::Pong(_)) => {}
            Some(Event::Ping(payload)) => {
                out.extend_from_slice(&websocket::control(Opcode::Pong, payload));
            }
            Some(Event::Close) => return Some(websocket::close_code::NORMAL),
            Some(Event::Data { piece, text, ends }) => {
                message.extend_from_slice(piece);
                if message.len() > MAX_MESSAGE {
                    return Some(websocket::close_code::PROTOCOL_ERROR);
                }
                if ends {
                    let opcode = if text { Opcode::Text } else { Opcode::Binary };
                    let start = websocket::finish_message(message, opcode);
                    out.extend_from_slice(&message[start..]);
                    message.truncate(HEADER_ROOM);
                }
            }
        }
        input = &mut input[taken..];
    }
    None
}
