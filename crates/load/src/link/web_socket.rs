//! WebSockets, without negotiation unless it is asked for.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use signalr::protocol::HubProtocol;
use tokio::net::TcpStream;

use super::{LinkError, connect, is_text, negotiate};
use crate::{
    http::HttpConnection,
    server::Server,
    socket,
    websocket::{Control, Decoder, Opcode, encode},
};

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct WebSocket {
    socket: TcpStream,
    decoder: Decoder,
    outgoing: Vec<u8>,
}

/// The key's answer is not looked at: it shows that the server is one, which
/// the frames behind it show as well.
pub(super) async fn open(
    server: &Server,
    number: u64,
    token: Option<&str>,
) -> Result<WebSocket, LinkError> {
    let mut connection = HttpConnection::new(connect(server, number).await?);
    let mut query = Vec::new();
    if server.negotiates {
        query.push(negotiate::negotiate(server, &mut connection, token).await?);
    }
    query.extend(token.map(|token| format!("access_token={token}")));
    let key = STANDARD.encode(rand::random::<[u8; 16]>());
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n",
        server.url.path_with(&query.join("&")),
        server.url.authority,
    );
    connection.ask(request.as_bytes());
    let (head, rest, socket) = connection.head().await?;
    if head.status != 101 {
        return Err(LinkError::Refused("the upgrade with", head.status));
    }
    let mut link = WebSocket {
        socket,
        decoder: Decoder::default(),
        outgoing: Vec::new(),
    };
    // A server speaks first only when it is spoken to.
    link.decoder.decode(&rest, &mut Vec::new(), |_| {})?;
    Ok(link)
}

impl WebSocket {
    pub(super) async fn send(
        &mut self,
        messages: &[u8],
        protocol: HubProtocol,
    ) -> Result<(), LinkError> {
        let opcode = if is_text(protocol) {
            Opcode::Text
        } else {
            Opcode::Binary
        };
        encode(opcode, messages, rand::random(), &mut self.outgoing);
        Ok(socket::flush(&self.socket, &mut self.outgoing).await?)
    }

    pub(super) async fn receive(&mut self, data: &mut Vec<u8>) -> Result<(), LinkError> {
        socket::flush(&self.socket, &mut self.outgoing).await?;
        let Self {
            socket,
            decoder,
            outgoing,
        } = self;
        let (mut closed, mut fault) = (false, None);
        let read = socket::read_with(socket, |bytes| {
            let decoded = decoder.decode(bytes, data, |control| match control {
                Control::Ping(payload) => {
                    encode(Opcode::Pong, &payload, rand::random(), outgoing);
                }
                Control::Close => closed = true,
            });
            fault = decoded.err();
        });
        let read = read.await?;
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        // What came before the end is taken first; the next read tells of the end.
        if (read == 0 || closed) && data.is_empty() {
            return Err(LinkError::Closed);
        }
        // At once: the server measures by it what its client has.
        Ok(socket::flush(&self.socket, &mut self.outgoing).await?)
    }

    pub(super) async fn close(&mut self) {
        let normal = 1000_u16.to_be_bytes();
        encode(Opcode::Close, &normal, rand::random(), &mut self.outgoing);
        // A server that is gone needs no farewell.
        let _ = socket::flush(&self.socket, &mut self.outgoing).await;
    }
}
