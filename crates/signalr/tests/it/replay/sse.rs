//! The client side of an event stream. Owns the request, chunk and event
//! decoding into an inbox; never looks into a payload.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::http::{self, Chunks, Response};
use super::inbox::Inbox;
use super::scenario::Request;

/// An open event stream; dropping it drops the TCP connection.
#[derive(Debug)]
pub(crate) struct EventStream {
    pub(crate) inbox: Arc<Inbox>,
    reader: JoinHandle<()>,
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Sends the request; there is a stream only if the answer is 200.
pub(crate) async fn open(
    address: SocketAddr,
    request: &Request,
) -> io::Result<(Option<EventStream>, Response)> {
    let mut stream = http::send(address, request).await?;
    let mut buffered = Vec::new();
    let mut response = http::read_head(&mut stream, &mut buffered).await?;
    if response.status != 200 {
        http::read_body(&mut stream, &mut buffered, &mut response, false).await?;
        return Ok((None, response));
    }
    let inbox = Arc::new(Inbox::default());
    let reader = tokio::spawn(read_events(stream, buffered, Arc::clone(&inbox)));
    Ok((Some(EventStream { inbox, reader }), response))
}

async fn read_events(mut stream: TcpStream, mut buffered: Vec<u8>, inbox: Arc<Inbox>) {
    let (mut chunks, mut events) = (Chunks::default(), Events::default());
    let end = loop {
        let decoded = match chunks.decode(&mut buffered) {
            Ok(decoded) => decoded,
            Err(fault) => break fault.to_string(),
        };
        let payload = match events.decode(&decoded) {
            Ok(payload) => payload,
            Err(fault) => break fault,
        };
        inbox.update(|received| {
            received.data.extend(payload);
            received.comments = events.comments;
        });
        if chunks.complete {
            break "complete".to_owned();
        }
        match stream.read_buf(&mut buffered).await {
            Ok(0) => break "eof".to_owned(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                break "reset".to_owned();
            }
            Err(error) => break error.to_string(),
        }
    };
    inbox.update(|received| received.end = Some(end));
}

/// Joins the payloads of `data:` events. Lines end with CR LF only, as the
/// server writes them; a lone CR belongs to the payload.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) comments: usize,
    pending: Vec<u8>,
    lines: Vec<Vec<u8>>,
}

impl Events {
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        self.pending.extend(bytes);
        let mut payload = Vec::new();
        while let Some(end) = self.pending.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = self.pending.drain(..end + 2).take(end).collect();
            if line.is_empty() {
                payload.extend(self.lines.join(&b'\n'));
                self.lines.clear();
            } else if let Some(text) = line.strip_prefix(b"data: ") {
                self.lines.push(text.to_vec());
            } else if line.starts_with(b":") {
                self.comments += 1;
            } else {
                return Err(format!("event line {:?}", String::from_utf8_lossy(&line)));
            }
        }
        Ok(payload)
    }
}

#[test]
fn events_join_lines_and_keep_a_lone_carriage_return() {
    let mut events = Events::default();
    let wire = b":\r\ndata: one\r\ndata: \r\r\n\r\ndata: {}\x1e\r\n\r\ndata: cut";
    assert_eq!(
        events.decode(wire).expect("the events are valid"),
        b"one\n\r{}\x1e"
    );
    assert_eq!(events.comments, 1);
    assert!(events.decode(b"\r\nevent: x\r\n").is_err());
}
