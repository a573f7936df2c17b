//! A raw socket: HTTP/1.1 and WebSocket bytes as a test writes them, and just
//! enough reading to see what comes back.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Text, binary and close frames: FIN and the opcode.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;

/// One socket to the server and what came on it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
    buffer: Vec<u8>,
}

/// An HTTP answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The header lines, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(each, _)| *each == name)
            .map(|(_, value)| value)
    }
}

/// A frame of the server: its first byte and its payload.
pub(crate) type Frame = (u8, Vec<u8>);

impl Peer {
    pub(crate) fn over(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        Self {
            socket,
            buffer: Vec::new(),
        }
    }

    /// Writes; what the server no longer takes is left away.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.socket.write_all(bytes.as_ref()).await;
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.write(request).await;
        self.answer().await.expect("an answer")
    }

    /// A whole answer, chunked or with a length; `None` at the socket's end.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let (status, head) = self.head().await?;
        let answer = Answer {
            status,
            head,
            body: String::new(),
        };
        let length = answer.header("content-length");
        let length = length.map(|length| length.parse::<usize>().unwrap());
        let body = if answer.header("transfer-encoding").is_some() {
            let mut body = Vec::new();
            while let Some(chunk) = self.chunk().await
                && !chunk.is_empty()
            {
                body.extend(chunk);
            }
            body
        } else {
            self.exactly(length.unwrap_or(0)).await?
        };
        let body = String::from_utf8(body).unwrap();
        Some(Answer { body, ..answer })
    }

    /// The status and header lines of an answer, without its body.
    pub(crate) async fn head(&mut self) -> Option<(u16, String)> {
        let end = loop {
            match memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.more().await?,
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some((status, head))
    }

    /// A chunk of a body, `event: stream` or other; the last one is empty.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            match memchr::memmem::find(&self.buffer, b"\r\n") {
                Some(end) => break end,
                None => self.more().await?,
            }
        };
        let length = std::str::from_utf8(&self.buffer[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        self.buffer.drain(..end + 2);
        let mut chunk = self.exactly(length + 2).await?;
        chunk.truncate(length);
        Some(chunk)
    }

    /// The next frame; `None` at the socket's end.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let head = self.exactly(2).await?;
        let length = match head[1] {
            126 => {
                let length = self.exactly(2).await?;
                usize::from(u16::from_be_bytes([length[0], length[1]]))
            }
            127 => {
                let length = self.exactly(8).await?;
                u64::from_be_bytes(length.try_into().unwrap()) as usize
            }
            length => usize::from(length),
        };
        Some((head[0], self.exactly(length).await?))
    }

    /// Sends a masked frame.
    pub(crate) async fn send(&mut self, first: u8, payload: &[u8]) {
        self.write(masked(first, payload)).await;
    }

    /// Waits for the server to end the socket, reading what still comes.
    pub(crate) async fn end(&mut self) {
        while self.more().await.is_some() {}
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Some(self.buffer.drain(..length).collect())
    }

    async fn more(&mut self) -> Option<()> {
        match self.socket.read_buf(&mut self.buffer).await {
            Ok(1..) => Some(()),
            _ => None,
        }
    }
}

/// A client's frame, masked as RFC 6455 wants it.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    frame.extend(mask);
    let payload = payload.iter().enumerate();
    frame.extend(payload.map(|(at, byte)| byte ^ mask[at % 4]));
    frame
}

/// The value of a member of a JSON text that holds only simple strings.
pub(crate) fn member<'a>(json: &'a str, name: &str) -> &'a str {
    let (_, rest) = json.split_once(&format!("\"{name}\":\"")).unwrap();
    rest.split_once('"').unwrap().0
}
