//! One SignalR client: opens a connection, shakes hands, sends and receives.

use std::time::Duration;

use memchr::memchr;
use serde::Deserialize;
use signalr::protocol::{HubMessage, HubProtocol, Parsed, ProtocolError, WriteError};
use tokio::time::timeout;

use crate::{
    link::{Link, LinkError},
    server::Server,
};

/// Ends each JSON text (HubProtocol.md, "JSON Encoding").
const RECORD_SEPARATOR: u8 = 0x1e;
/// Room that an idle client keeps for the next message.
const KEPT: usize = 4096;

/// Why a client was not connected, or is not any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the handshake was refused: {0}")]
    Handshake(String),
    #[error("it was not open in {0:?}")]
    Timeout(Duration),
    #[error("the server ended it: {0}")]
    Ended(String),
    #[error("the server sent what is no hub message: {0}")]
    Protocol(#[from] ProtocolError),
    #[error("the arguments cannot be sent: {0}")]
    Arguments(#[from] WriteError),
}

/// A connected client.
#[derive(Debug)]
pub(crate) struct Client {
    link: Link,
    protocol: HubProtocol,
    inbox: Vec<u8>,
}

#[derive(Deserialize)]
struct HandshakeAnswer {
    error: Option<String>,
}

impl Client {
    /// Connects as the user at place `user` within `patience`.
    pub(crate) async fn open(
        server: &Server,
        user: u64,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let opening = Box::pin(Self::open_patiently(server, user));
        timeout(patience, opening)
            .await
            .unwrap_or(Err(ClientError::Timeout(patience)))
    }

    async fn open_patiently(server: &Server, user: u64) -> Result<Self, ClientError> {
        let token = server.tokens.of(&server.user_id(user).to_string());
        let number = server.next_number();
        let mut client = Self {
            link: Link::open(server, number, token.as_deref()).await?,
            protocol: server.protocol,
            inbox: Vec::new(),
        };
        let request = format!(
            "{{\"protocol\":\"{}\",\"version\":1}}\u{1e}",
            server.protocol.name()
        );
        client.link.send(server, request.as_bytes()).await?;
        client.read_handshake().await?;
        Ok(client)
    }

    /// The answer is a JSON text, whatever the protocol.
    async fn read_handshake(&mut self) -> Result<(), ClientError> {
        let end = loop {
            match memchr(RECORD_SEPARATOR, &self.inbox) {
                Some(end) => break end,
                None => self.link.receive(&mut self.inbox).await?,
            }
        };
        let answer = serde_json::from_slice::<HandshakeAnswer>(&self.inbox[..end]);
        self.inbox.drain(..=end);
        match answer {
            Ok(HandshakeAnswer { error: None }) => Ok(()),
            Ok(HandshakeAnswer { error: Some(error) }) => Err(ClientError::Handshake(error)),
            Err(error) => Err(ClientError::Handshake(error.to_string())),
        }
    }

    /// Waits for bytes and gives the hub messages that are complete. May be
    /// dropped while it waits.
    pub(crate) async fn receive(
        &mut self,
        mut on_message: impl FnMut(HubMessage<'_>),
    ) -> Result<(), ClientError> {
        // What came with the handshake's answer is not waited for.
        if self.inbox.is_empty() || !self.has_message()? {
            self.link.receive(&mut self.inbox).await?;
        }
        let (mut at, mut ended) = (0, None);
        loop {
            match self.protocol.parse(&self.inbox[at..])? {
                Parsed::Message { message, consumed } => {
                    at += consumed;
                    if let HubMessage::Close { error, .. } = &message {
                        let why = error.as_deref().unwrap_or("without a reason");
                        ended.get_or_insert_with(|| why.to_owned());
                    }
                    on_message(message);
                }
                Parsed::Unknown { consumed } => at += consumed,
                Parsed::Incomplete => break,
            }
        }
        self.inbox.drain(..at);
        if self.inbox.is_empty() && self.inbox.capacity() > KEPT {
            self.inbox = Vec::new();
        }
        ended.map_or(Ok(()), |why| Err(ClientError::Ended(why)))
    }

    fn has_message(&self) -> Result<bool, ClientError> {
        Ok(!matches!(
            self.protocol.parse(&self.inbox)?,
            Parsed::Incomplete
        ))
    }

    /// Calls a hub method. Is not to be dropped half-way.
    pub(crate) async fn invoke(
        &mut self,
        server: &Server,
        id: &str,
        method: &str,
        arguments: &[serde_json::Value],
    ) -> Result<(), ClientError> {
        let mut message = Vec::with_capacity(128);
        self.protocol
            .write_invocation(&mut message, Some(id), method, arguments, &[])?;
        Ok(self.link.send(server, &message).await?)
    }

    /// Shows the server that this client is there.
    pub(crate) async fn ping(&mut self, server: &Server) -> Result<(), ClientError> {
        if self.link.needs_pings() {
            self.link.send(server, self.protocol.ping()).await?;
        }
        Ok(())
    }

    /// Leaves in order.
    pub(crate) async fn leave(self, server: &Server) {
        // A server that stalls must not keep a client that leaves.
        let _ = timeout(Duration::from_secs(2), self.link.leave(server)).await;
    }
}
