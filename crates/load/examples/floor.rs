//! The floor: the least that a server can do to deliver a message. A bare
//! tokio server with a task a connection and one write a message; it has no
//! hub state, verifies no token, keeps no log, and never waits for a client.
//!
//! ```text
//! cargo run --release -p load --example floor -- 127.0.0.1:7000
//! tendril-load notify --url http://127.0.0.1:7000/hub --secret any --connections 1000
//! ```
//!
//! It answers the WebSocket upgrade, the SignalR handshake (JSON alone) and
//! every invocation; `POST /internal/notify` and `/internal/broadcast` take
//! what hub-api takes and write one frame to the user's connections, or to all.

use std::{
    cell::RefCell,
    collections::HashMap,
    error::Error,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use memchr::{memchr, memmem};
use sha1::{Digest as _, Sha1};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A burst of ten thousand connects overflows the usual backlog of 128.
const BACKLOG: u32 = 4096;
const BUFFER: usize = 64 * 1024;
const LONGEST_HEAD: usize = 16 * 1024;
const LONGEST_BODY: usize = 1024 * 1024;

thread_local! {
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
}

type Sockets = Mutex<Vec<Arc<TcpStream>>>;

/// All connections, by their users.
#[derive(Default)]
struct Clients {
    by_user: RwLock<HashMap<u64, Arc<Sockets>>>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let address: SocketAddr = address.as_deref().unwrap_or("127.0.0.1:7000").parse()?;
    let listener = listen(address)?;
    let clients = Arc::new(Clients::default());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let clients = Arc::clone(&clients);
        tokio::spawn(async move {
            // Whatever a client does wrong ends its connection and nothing else.
            let _ = serve(socket, &clients).await;
        });
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn serve(socket: TcpStream, clients: &Clients) -> io::Result<()> {
    let mut inbox = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = memmem::find(&inbox, b"\r\n\r\n") {
                break end + 4;
            }
            if inbox.len() > LONGEST_HEAD || !read(&socket, &mut inbox).await? {
                return Ok(());
            }
        };
        if inbox.starts_with(b"GET ") {
            let user = user(&inbox[..head]);
            let answer = upgrade(&inbox[..head]).ok_or(io::ErrorKind::InvalidData)?;
            write_all(&socket, answer.as_bytes()).await?;
            drop(inbox);
            return web_socket(Arc::new(socket), clients, user).await;
        }
        let length = content_length(&inbox[..head]);
        if length > LONGEST_BODY {
            return Ok(());
        }
        while inbox.len() < head + length {
            if !read(&socket, &mut inbox).await? {
                return Ok(());
            }
        }
        let is_broadcast = inbox.starts_with(b"POST /internal/broadcast ");
        let sent = deliver(&inbox[head..head + length], is_broadcast, clients);
        let body = format!("{{\"connections\":{sent}}}");
        let answer = format!(
            "HTTP/1.1 202 Accepted\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        write_all(&socket, answer.as_bytes()).await?;
        inbox.drain(..head + length);
    }
}

async fn web_socket(socket: Arc<TcpStream>, clients: &Clients, user: u64) -> io::Result<()> {
    let sockets = Arc::clone(
        clients
            .by_user
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(user)
            .or_default(),
    );
    let ended = frames(&socket, &sockets).await;
    let mut open = sockets.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|each| !Arc::ptr_eq(each, &socket));
    open.shrink_to_fit();
    ended
}

/// Answers the handshake, pings nobody, answers invocations.
async fn frames(socket: &Arc<TcpStream>, sockets: &Sockets) -> io::Result<()> {
    let mut partial = Vec::new();
    let mut has_shaken_hands = false;
    loop {
        if !read(socket, &mut partial).await? {
            return Ok(());
        }
        let (mut at, mut answers) = (0, Vec::new());
        while let Some((opcode, payload, length)) = frame(&partial[at..]) {
            at += length;
            if opcode == 8 {
                return Ok(());
            }
            for record in payload
                .split(|byte| *byte == 0x1e)
                .filter(|each| !each.is_empty())
            {
                if !has_shaken_hands {
                    has_shaken_hands = true;
                    write_frame(&mut answers, b"{}\x1e");
                    let mut open = sockets.lock().unwrap_or_else(PoisonError::into_inner);
                    open.push(Arc::clone(socket));
                } else if let Some(id) = text_of(record, b"\"invocationId\":\"") {
                    let id = String::from_utf8_lossy(id);
                    let done =
                        format!("{{\"type\":3,\"invocationId\":\"{id}\",\"result\":null}}\u{1e}");
                    write_frame(&mut answers, done.as_bytes());
                }
            }
        }
        partial.drain(..at);
        if partial.is_empty() {
            partial = Vec::new();
        }
        if !answers.is_empty() {
            write_all(socket, &answers).await?;
        }
    }
}

/// One prepared frame, one write for each receiver; what a socket does not
/// take is dropped.
fn deliver(body: &[u8], is_broadcast: bool, clients: &Clients) -> usize {
    let event = text_of(body, b"\"event\":\"").unwrap_or(b"ReceiveAnalysisProgress");
    let start: &[u8] = match is_broadcast {
        true => b"\"arguments\":[",
        false if memmem::find(body, b"\"notification\":").is_some() => b"\"notification\":",
        false => b"\"payload\":",
    };
    let Some(place) = memmem::find(body, start) else {
        return 0;
    };
    // The value ends where the objects or the array around it do.
    let value = value(&body[place + start.len()..]);
    let mut message = b"{\"type\":1,\"target\":\"".to_vec();
    message.extend_from_slice(event);
    message.extend_from_slice(b"\",\"arguments\":[");
    message.extend_from_slice(value);
    message.extend_from_slice(b"]}\x1e");
    let mut frame = Vec::with_capacity(message.len() + 4);
    write_frame(&mut frame, &message);
    let by_user = clients
        .by_user
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    let send = |sockets: &Arc<Sockets>| {
        let open = sockets.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter()
            .filter(|socket| socket.try_write(&frame).is_ok())
            .count()
    };
    if is_broadcast {
        return by_user.values().map(send).sum();
    }
    let user = memmem::find(body, b"\"userId\":").map(|at| number(&body[at + 9..]));
    user.and_then(|user| by_user.get(&user)).map_or(0, send)
}

/// The JSON value that `text` begins with. Brackets in strings are not looked
/// for: the load tester sends none.
fn value(text: &[u8]) -> &[u8] {
    let mut depth = 0_i32;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                match depth {
                    0 => return &text[..=at],
                    depth if depth < 0 => return &text[..at],
                    _ => {}
                }
            }
            _ => {}
        }
    }
    text
}

/// The user of the token in the query, which nobody verifies.
fn user(head: &[u8]) -> u64 {
    let token = memmem::find(head, b"access_token=").map(|at| &head[at + 13..]);
    let payload = token.and_then(|token| token.split(|byte| *byte == b'.').nth(1));
    let claims = payload.and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    claims
        .as_deref()
        .and_then(|claims| text_of(claims, b"\"userId\":\""))
        .map_or(0, number)
}

fn upgrade(head: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(head).ok()?;
    let key = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then(|| value.trim())
    })?;
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(hash.finalize());
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

fn content_length(head: &[u8]) -> usize {
    let at = memmem::find(head, b"Content-Length: ");
    at.map_or(0, |at| number(&head[at + 16..]) as usize)
}

/// A whole client's frame: opcode, payload, length.
fn frame(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, at) = match second & 0x7f {
        126 => (
            u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(),
            4,
        ),
        127 => (
            u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize,
            10,
        ),
        short => (usize::from(short), 2),
    };
    let mask = bytes.get(at..at + 4)?;
    let payload = bytes.get(at + 4..at + 4 + length)?;
    let payload = payload.iter().zip(mask.iter().cycle());
    let payload = payload.map(|(byte, mask)| byte ^ mask).collect();
    Some((first & 0x0f, payload, at + 4 + length))
}

fn write_frame(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(0x81);
    match payload.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// What follows `start`, up to the next quotation mark.
fn text_of<'a>(bytes: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    let rest = &bytes[memmem::find(bytes, start)? + start.len()..];
    Some(&rest[..memchr(b'"', rest)?])
}

fn number(digits: &[u8]) -> u64 {
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_u64, |number, digit| {
        number
            .wrapping_mul(10)
            .wrapping_add(u64::from(digit - b'0'))
    })
}

async fn read(socket: &TcpStream, out: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        socket.readable().await?;
        let read = READ.with_borrow_mut(|buffer| {
            let length = socket.try_read(buffer)?;
            out.extend_from_slice(&buffer[..length]);
            Ok::<_, io::Error>(length)
        });
        match read {
            Ok(length) => return Ok(length > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn write_all(socket: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
