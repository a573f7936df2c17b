//! The client side of RFC 6455 with every bit of a frame under control. Owns
//! the upgrade, frame writing, and a task that reads frames into an inbox;
//! never joins or checks messages.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::http::{self, Response};
use super::inbox::{Inbox, Received};
use super::scenario::Request;

/// The key and answer of RFC 6455, 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// An open WebSocket; dropping it drops the TCP connection.
#[derive(Debug)]
pub(crate) struct WebSocket {
    pub(crate) inbox: Arc<Inbox>,
    writer: Arc<Mutex<Writer>>,
    reader: JoinHandle<()>,
}

#[derive(Debug)]
struct Writer {
    half: OwnedWriteHalf,
    close_sent: bool,
}

pub(crate) enum Upgrade {
    Open(WebSocket, Response),
    Refused(Response),
}

/// Sends the upgrade request. `answers_close`: whether a close frame of the
/// server is answered at once with the same payload.
pub(crate) async fn open(
    address: SocketAddr,
    mut request: Request,
    answers_close: bool,
) -> io::Result<Upgrade> {
    for (name, value) in [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ] {
        if request.header(name).is_none() {
            request.headers.push((name.to_owned(), value.to_owned()));
        }
    }
    let mut stream = http::send(address, &request).await?;
    let mut buffered = Vec::new();
    let mut response = http::read_head(&mut stream, &mut buffered).await?;
    if response.status != 101 {
        http::read_body(&mut stream, &mut buffered, &mut response, false).await?;
        return Ok(Upgrade::Refused(response));
    }
    if response.header("sec-websocket-accept") != Some(ACCEPT) {
        return Err(io::Error::other(format!(
            "wrong accept key: {:?}",
            response.headers
        )));
    }
    let (read_half, half) = stream.into_split();
    let writer = Arc::new(Mutex::new(Writer {
        half,
        close_sent: false,
    }));
    let inbox = Arc::new(Inbox::default());
    let reading = read_frames(
        read_half,
        buffered,
        Arc::clone(&inbox),
        answers_close.then(|| Arc::clone(&writer)),
    );
    let reader = tokio::spawn(reading);
    Ok(Upgrade::Open(
        WebSocket {
            inbox,
            writer,
            reader,
        },
        response,
    ))
}

impl WebSocket {
    /// Writes one frame. `head` is the first byte: FIN, reserved bits, opcode.
    pub(crate) async fn send(&self, head: u8, mask: bool, payload: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        writer.close_sent |= head & 0x0f == CLOSE;
        writer.half.write_all(&encode(head, mask, payload)).await
    }

    /// Writes a close frame; 1005 means one without payload.
    pub(crate) async fn close(&self, code: u16, reason: &str) -> io::Result<()> {
        let payload = match code {
            1005 => Vec::new(),
            code => [&code.to_be_bytes(), reason.as_bytes()].concat(),
        };
        self.send(0x80 | CLOSE, true, &payload).await
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn encode(head: u8, mask: bool, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if mask { 0x80 } else { 0 };
    let mut frame = vec![head];
    match payload.len() {
        length @ 0..=125 => frame.push(mask_bit | length as u8),
        length @ 126..=65_535 => {
            frame.push(mask_bit | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(mask_bit | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    if mask {
        // A fixed key shows the same errors as a random one and can be repeated.
        let key = [0x37, 0xfa, 0x21, 0x3d];
        frame.extend(key);
        frame.extend(
            payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
    } else {
        frame.extend(payload);
    }
    frame
}

async fn read_frames(
    mut half: OwnedReadHalf,
    mut buffered: Vec<u8>,
    inbox: Arc<Inbox>,
    answer: Option<Arc<Mutex<Writer>>>,
) {
    let end = loop {
        match decode(&buffered) {
            Ok(Some((opcode, range))) => {
                let payload = buffered[range.clone()].to_vec();
                buffered.drain(..range.end);
                if opcode == CLOSE
                    && let Some(writer) = &answer
                {
                    answer_close(writer, &payload).await;
                }
                inbox.update(|received| sort(received, opcode, payload));
            }
            Ok(None) => match half.read_buf(&mut buffered).await {
                Ok(0) => break "eof".to_owned(),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    break "reset".to_owned();
                }
                Err(error) => break error.to_string(),
            },
            Err(fault) => break fault.to_owned(),
        }
    };
    inbox.update(|received| received.end = Some(end));
}

async fn answer_close(writer: &Mutex<Writer>, payload: &[u8]) {
    let mut writer = writer.lock().await;
    if !writer.close_sent {
        writer.close_sent = true;
        // The server may be gone already; the recording then shows no more steps.
        let _ = writer
            .half
            .write_all(&encode(0x80 | CLOSE, true, payload))
            .await;
    }
}

fn sort(received: &mut Received, opcode: u8, payload: Vec<u8>) {
    match opcode {
        CLOSE => {
            let code = payload
                .first_chunk::<2>()
                .map_or(1005, |code| u16::from_be_bytes(*code));
            let reason = payload.get(2..).unwrap_or_default();
            received.close = Some((code, String::from_utf8_lossy(reason).into_owned()));
        }
        PING | PONG => received.controls.push_back((opcode, payload)),
        _ => {
            // A continuation has the opcode of the frame that it continues.
            if opcode != 0 {
                received.opcodes.push(opcode);
            }
            received.data.extend(payload);
        }
    }
}

/// The first whole frame: its opcode and where its payload stands.
fn decode(bytes: &[u8]) -> Result<Option<(u8, std::ops::Range<usize>)>, &'static str> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if second & 0x80 != 0 {
        return Err("a masked frame from the server");
    }
    if first & 0x70 != 0 {
        return Err("reserved bits in a frame from the server");
    }
    let (start, length) = match second & 0x7f {
        126 => match rest.first_chunk::<2>() {
            Some(length) => (4, usize::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (10, u64::from_be_bytes(*length) as usize),
            None => return Ok(None),
        },
        length => (2, usize::from(length)),
    };
    let end = start + length;
    Ok((bytes.len() >= end).then_some((first & 0x0f, start..end)))
}
