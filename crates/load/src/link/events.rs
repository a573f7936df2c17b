//! Server-Sent Events: an answer that does not end, and POST to send.

use tokio::net::TcpStream;

use super::{LinkError, Posts, connect, head, negotiate};
use crate::{
    http::{Body, Chunks, HttpConnection},
    server::Server,
    socket,
};

/// An open stream of events.
#[derive(Debug)]
pub(crate) struct Events {
    socket: TcpStream,
    chunks: Option<Chunks>,
    reader: EventReader,
    pub(super) posts: Posts,
}

pub(super) async fn open(
    server: &Server,
    number: u64,
    token: Option<&str>,
) -> Result<Events, LinkError> {
    let mut connection = HttpConnection::new(connect(server, number).await?);
    let id = negotiate::negotiate(server, &mut connection, token).await?;
    let path = server.url.path_with(&id);
    let mut stream = HttpConnection::new(connect(server, number).await?);
    let mut request = head(server, "GET", &path, token);
    request.extend_from_slice(b"Accept: text/event-stream\r\n\r\n");
    stream.ask(&request);
    let (head, rest, socket) = stream.head().await?;
    if head.status != 200 {
        return Err(LinkError::Refused("the stream with", head.status));
    }
    let mut events = Events {
        socket,
        chunks: (head.body == Body::Chunked).then(Chunks::default),
        reader: EventReader::default(),
        posts: Posts {
            connection: Some(connection),
            number,
            path,
            token: token.map(str::to_owned),
        },
    };
    // Nothing but a comment comes before the handshake.
    events.take(&rest, &mut Vec::new())?;
    Ok(events)
}

impl Events {
    pub(super) async fn receive(&mut self, data: &mut Vec<u8>) -> Result<(), LinkError> {
        let mut bytes = Vec::new();
        if socket::read(&self.socket, &mut bytes).await? == 0 {
            return Err(LinkError::Closed);
        }
        self.take(&bytes, data)
    }

    fn take(&mut self, bytes: &[u8], data: &mut Vec<u8>) -> Result<(), LinkError> {
        match &mut self.chunks {
            Some(chunks) => {
                let mut body = Vec::with_capacity(bytes.len());
                chunks.decode(bytes, &mut body)?;
                self.reader.read(&body, data);
                if chunks.is_done() && data.is_empty() {
                    return Err(LinkError::Closed);
                }
            }
            None => self.reader.read(bytes, data),
        }
        Ok(())
    }
}

/// The fields of events (WHATWG HTML, section 9.2.6), cut anywhere. Of an
/// event only its data counts, and its lines are joined by a line feed.
#[derive(Debug, Default)]
struct EventReader {
    line: Vec<u8>,
    has_data: bool,
}

impl EventReader {
    fn read(&mut self, input: &[u8], data: &mut Vec<u8>) {
        for byte in input {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
            if let Some(value) = self.line.strip_prefix(b"data:") {
                if self.has_data {
                    data.push(b'\n');
                }
                self.has_data = true;
                data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            } else if self.line.is_empty() {
                self.has_data = false;
            }
            self.line.clear();
        }
        if self.line.is_empty() {
            self.line = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_taken_out_of_events_however_they_are_cut() {
        let stream = b":\r\ndata: {\"a\":1}\x1e\r\n\r\nevent: x\ndata:b\ndata: c\n\n:\n";
        for cut in 0..stream.len() {
            let (mut reader, mut data) = (EventReader::default(), Vec::new());
            reader.read(&stream[..cut], &mut data);
            reader.read(&stream[cut..], &mut data);
            assert_eq!(data, b"{\"a\":1}\x1eb\nc", "cut at {cut}");
        }
    }
}
