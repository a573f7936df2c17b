//! Clients that connect, shake hands and fall silent, on bare sockets.

use std::error::Error;
use std::io;
use std::ops::Range;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
const MASK: [u8; 4] = [1, 2, 3, 4];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSockets,
    ServerSentEvents,
    LongPolling,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::WebSockets, Self::ServerSentEvents, Self::LongPolling];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WebSockets => "WebSockets",
            Self::ServerSentEvents => "Server-Sent Events",
            Self::LongPolling => "long polling",
        }
    }

    pub(crate) fn by_name(name: &str) -> Result<Self, String> {
        match name {
            "ws" => Ok(Self::WebSockets),
            "sse" => Ok(Self::ServerSentEvents),
            "lp" => Ok(Self::LongPolling),
            _ => Err(format!("no transport {name}: ws, sse or lp")),
        }
    }
}

/// Opens the connections one after another; the sockets that stay open with
/// them are given back.
pub(crate) async fn open(
    address: &str,
    path: &str,
    transport: Transport,
    numbers: Range<usize>,
    token: &dyn Fn(usize) -> String,
) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let mut sockets = Vec::with_capacity(numbers.len());
    // Negotiate and POST go over one socket that all clients share: it is the
    // cost of connections, not of requests, that is asked for.
    let mut requests = Requests::new(address).await?;
    for number in numbers {
        let token = token(number);
        let socket = match transport {
            Transport::WebSockets => web_socket(address, path, &token).await?,
            Transport::ServerSentEvents => events(&mut requests, address, path, &token).await?,
            Transport::LongPolling => poll(&mut requests, address, path, &token).await?,
        };
        sockets.push(socket);
    }
    Ok(sockets)
}

async fn web_socket(address: &str, path: &str, token: &str) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!(
        "GET {path}?access_token={token} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    let head = read_until(&mut socket, b"\r\n\r\n").await?;
    expect(&head, "HTTP/1.1 101 ")?;
    let mut frame = vec![0x81, 0x80 | HANDSHAKE.len() as u8];
    frame.extend_from_slice(&MASK);
    let masked = HANDSHAKE.bytes().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    socket.write_all(&frame).await?;
    read_until(&mut socket, b"{}\x1e").await?;
    Ok(socket)
}

async fn events(
    requests: &mut Requests,
    address: &str,
    path: &str,
    token: &str,
) -> Result<TcpStream, Box<dyn Error>> {
    let query = requests.negotiate(path, token).await?;
    let mut socket = TcpStream::connect(address).await?;
    let request = format!(
        "GET {path}{query} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    read_until(&mut socket, b":\r\n").await?;
    requests.post(&format!("{path}{query}"), HANDSHAKE).await?;
    read_until(&mut socket, b"{}\x1e").await?;
    Ok(socket)
}

async fn poll(
    requests: &mut Requests,
    address: &str,
    path: &str,
    token: &str,
) -> Result<TcpStream, Box<dyn Error>> {
    let query = requests.negotiate(path, token).await?;
    let mut socket = TcpStream::connect(address).await?;
    let request = format!("GET {path}{query} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    // The first poll is answered at once, the second by the handshake's answer.
    let head = read_until(&mut socket, b"\r\n\r\n").await?;
    expect(&head, "HTTP/1.1 200 ")?;
    requests.post(&format!("{path}{query}"), HANDSHAKE).await?;
    socket.write_all(request.as_bytes()).await?;
    read_until(&mut socket, b"{}\x1e").await?;
    socket.write_all(request.as_bytes()).await?;
    Ok(socket)
}

/// A socket for requests that are answered at once.
struct Requests {
    socket: TcpStream,
    address: String,
}

impl Requests {
    async fn new(address: &str) -> io::Result<Self> {
        Ok(Self {
            socket: TcpStream::connect(address).await?,
            address: address.to_owned(),
        })
    }

    /// Gives the query with which the new connection is named.
    async fn negotiate(&mut self, path: &str, token: &str) -> Result<String, Box<dyn Error>> {
        let target = format!("{path}/negotiate?negotiateVersion=1&access_token={token}");
        let answer = self.post(&target, "").await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        let id = answer["connectionToken"].as_str().ok_or("no token")?;
        Ok(format!("?id={id}&access_token={token}"))
    }

    async fn post(&mut self, target: &str, body: &str) -> Result<Vec<u8>, Box<dyn Error>> {
        let length = body.len();
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n{body}",
            self.address
        );
        self.socket.write_all(request.as_bytes()).await?;
        let head = read_until(&mut self.socket, b"\r\n\r\n").await?;
        expect(&head, "HTTP/1.1 200 ")?;
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .ok_or("an answer without a length")?;
        let mut body = vec![0; length.trim().parse()?];
        self.socket.read_exact(&mut body).await?;
        Ok(body)
    }
}

fn expect(head: &[u8], start: &str) -> io::Result<()> {
    if head.starts_with(start.as_bytes()) {
        return Ok(());
    }
    let head = String::from_utf8_lossy(head).into_owned();
    Err(io::Error::other(head))
}

/// Reads byte by byte: nothing behind the end is taken.
async fn read_until(socket: &mut TcpStream, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        bytes.push(socket.read_u8().await?);
    }
    Ok(bytes)
}
