//! The three transports from a client's side: opening one, sending, receiving.
//!
//! What is received is a stream of bytes; hub messages know their own borders.

mod web_socket;
mod events;
mod polls;
mod negotiate;

use std::io;

use clap::ValueEnum;
use serde::Serialize;
use signalr::protocol::HubProtocol;
use tokio::net::TcpStream;

use crate::{
    http::{HttpConnection, HttpError},
    server::Server,
    socket,
    websocket::FrameError,
};

/// How clients connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// WebSockets.
    Ws,
    /// Server-Sent Events.
    Sse,
    /// Long polling.
    Lp,
}

/// Why a connection was not opened, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the server answered {0} {1}")]
    Refused(&'static str, u16),
    #[error("negotiate gave no connection: {0}")]
    Negotiate(String),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the server closed the connection")]
    Closed,
}

/// An open transport.
#[derive(Debug)]
pub(crate) enum Link {
    WebSocket(web_socket::WebSocket),
    Events(Box<events::Events>),
    Polls(Box<polls::Polls>),
}

impl Link {
    /// Opens a transport for the connection of that number.
    pub(crate) async fn open(
        server: &Server,
        number: u64,
        token: Option<&str>,
    ) -> Result<Self, LinkError> {
        Ok(match server.transport {
            Transport::Ws => Self::WebSocket(web_socket::open(server, number, token).await?),
            Transport::Sse => Self::Events(Box::new(events::open(server, number, token).await?)),
            Transport::Lp => Self::Polls(Box::new(polls::open(server, number, token).await?)),
        })
    }

    /// Sends hub messages. Is not to be dropped half-way.
    pub(crate) async fn send(&mut self, server: &Server, messages: &[u8]) -> Result<(), LinkError> {
        match self {
            Self::WebSocket(link) => link.send(messages, server.protocol).await,
            Self::Events(link) => link.posts.send(server, messages).await,
            Self::Polls(link) => link.posts.send(server, messages).await,
        }
    }

    /// Adds what comes next to `data`, possibly nothing. May be dropped.
    pub(crate) async fn receive(&mut self, data: &mut Vec<u8>) -> Result<(), LinkError> {
        match self {
            Self::WebSocket(link) => link.receive(data).await,
            Self::Events(link) => link.receive(data).await,
            Self::Polls(link) => link.receive(data).await,
        }
    }

    /// Whether the client must send pings of its own: a poll is one.
    pub(crate) fn needs_pings(&self) -> bool {
        !matches!(self, Self::Polls(_))
    }

    /// Ends it as a client that leaves does.
    pub(crate) async fn leave(mut self, server: &Server) {
        match &mut self {
            Self::WebSocket(link) => link.close().await,
            Self::Events(_) => {}
            Self::Polls(link) => link.delete(server).await,
        }
    }
}

/// The requests by which a client without WebSockets sends.
#[derive(Debug)]
struct Posts {
    connection: Option<HttpConnection>,
    number: u64,
    /// Path and query, with the connection's id.
    path: String,
    token: Option<String>,
}

impl Posts {
    async fn send(&mut self, server: &Server, body: &[u8]) -> Result<(), LinkError> {
        let status = self.call(server, "POST", body).await?;
        match status {
            200 | 202 => Ok(()),
            status => Err(LinkError::Refused("a POST with", status)),
        }
    }

    async fn call(&mut self, server: &Server, method: &str, body: &[u8]) -> Result<u16, LinkError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => HttpConnection::new(connect(server, self.number).await?),
        };
        let mut request = head(server, method, &self.path, self.token.as_deref());
        request.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
        request.extend_from_slice(body);
        let answer = connection.call(&request).await?;
        // A socket for each silent client would be a cost that is not the hub's.
        if server.keeps_posts && !answer.closes {
            self.connection = Some(connection);
        }
        Ok(answer.status)
    }
}

async fn connect(server: &Server, number: u64) -> Result<TcpStream, LinkError> {
    socket::connect(server.address, server.source(number))
        .await
        .map_err(LinkError::Connect)
}

/// A request's head, to be ended by an empty line. The token travels as
/// clients send it where they can set headers.
fn head(server: &Server, method: &str, path: &str, token: Option<&str>) -> Vec<u8> {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\n",
        server.url.authority
    );
    if let Some(token) = token {
        head.push_str("Authorization: Bearer ");
        head.push_str(token);
        head.push_str("\r\n");
    }
    head.into_bytes()
}

/// The opcode or content of a protocol's messages.
fn is_text(protocol: HubProtocol) -> bool {
    protocol == HubProtocol::Json
}
