//! A minimal HTTP/1.1 client on a raw socket: one request a connection. Owns
//! request writing and response reading; never follows, retries or corrects.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::scenario::Request;

const LONGEST_HEAD: usize = 64 * 1024;

/// A response with its whole body, chunks decoded.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Sends the request on a new socket and reads the whole answer.
pub(crate) async fn exchange(address: SocketAddr, request: &Request) -> io::Result<Response> {
    let mut stream = send(address, request).await?;
    let mut buffered = Vec::new();
    let mut response = read_head(&mut stream, &mut buffered).await?;
    read_body(
        &mut stream,
        &mut buffered,
        &mut response,
        request.method == "HEAD",
    )
    .await?;
    Ok(response)
}

/// Opens a socket and writes the request; the answer is still to be read.
pub(crate) async fn send(address: SocketAddr, request: &Request) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&encode(address, request, None)).await?;
    Ok(stream)
}

/// Writes a request whose body breaks off half way, and closes the socket.
pub(crate) async fn send_broken(address: SocketAddr, request: &Request) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let length = request.body.as_deref().map_or(0, str::len) + 10;
    stream
        .write_all(&encode(address, request, Some(length)))
        .await?;
    stream.shutdown().await
}

fn encode(address: SocketAddr, request: &Request, announced: Option<usize>) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    if request.header("host").is_none() {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = request.body.as_deref().unwrap_or_default();
    let sized =
        request.header("transfer-encoding").is_none() && request.header("content-length").is_none();
    if sized && matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") {
        head.push_str(&format!(
            "Content-Length: {}\r\n",
            announced.unwrap_or(body.len())
        ));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Reads status and headers; what was read beyond them stays in `buffered`.
pub(crate) async fn read_head(
    stream: &mut TcpStream,
    buffered: &mut Vec<u8>,
) -> io::Result<Response> {
    let end = loop {
        if let Some(at) = find(buffered, b"\r\n\r\n") {
            break at;
        }
        if buffered.len() > LONGEST_HEAD {
            return Err(io::Error::other("the head of the answer has no end"));
        }
        read_more(stream, buffered).await?;
    };
    let head = String::from_utf8_lossy(&buffered[..end]).into_owned();
    buffered.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(':'));
    Ok(Response {
        status: status.ok_or_else(|| io::Error::other(format!("status line {status_line:?}")))?,
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
        body: Vec::new(),
    })
}

pub(crate) async fn read_body(
    stream: &mut TcpStream,
    buffered: &mut Vec<u8>,
    response: &mut Response,
    is_head: bool,
) -> io::Result<()> {
    // RFC 9112, 6.3: these have no body whatever their headers say.
    if is_head || matches!(response.status, 100..=199 | 204 | 304) {
        return Ok(());
    }
    if response
        .header("transfer-encoding")
        .is_some_and(|value| value.contains("chunked"))
    {
        let mut chunks = Chunks::default();
        loop {
            response.body.extend(chunks.decode(buffered)?);
            if chunks.complete {
                return Ok(());
            }
            read_more(stream, buffered).await?;
        }
    }
    if let Some(length) = response.header("content-length") {
        let length: usize = length.parse().map_err(io::Error::other)?;
        while buffered.len() < length {
            read_more(stream, buffered).await?;
        }
        response.body = buffered.drain(..length).collect();
        return Ok(());
    }
    while stream.read_buf(buffered).await? > 0 {}
    response.body = std::mem::take(buffered);
    Ok(())
}

/// Decodes chunked transfer coding (RFC 9112, 7.1) as bytes come in.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// The last chunk was seen.
    pub(crate) complete: bool,
    left_in_chunk: usize,
    inside: bool,
}

impl Chunks {
    /// Takes what can be decoded from the front of `buffered`.
    pub(crate) fn decode(&mut self, buffered: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        while !self.complete {
            if self.left_in_chunk > 0 {
                let taken = self.left_in_chunk.min(buffered.len());
                out.extend(buffered.drain(..taken));
                self.left_in_chunk -= taken;
                if self.left_in_chunk > 0 {
                    break;
                }
            }
            let border = if self.inside { 2 } else { 0 };
            let Some(line_end) = find(buffered.get(border..).unwrap_or_default(), b"\r\n") else {
                break;
            };
            let line = String::from_utf8_lossy(&buffered[border..border + line_end]).into_owned();
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
                .map_err(|_| io::Error::other(format!("chunk size {line:?}")))?;
            buffered.drain(..border + line_end + 2);
            self.inside = true;
            self.left_in_chunk = size;
            self.complete = size == 0;
        }
        Ok(out)
    }
}

async fn read_more(stream: &mut TcpStream, buffered: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(buffered).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[test]
fn chunks_decode_the_same_however_they_are_cut() {
    let wire = b"5\r\nhello\r\n3;x=y\r\n\r\n!\r\n0\r\n\r\n";
    for cut in 1..wire.len() {
        let (mut chunks, mut buffered, mut out) = (Chunks::default(), Vec::new(), Vec::new());
        for part in [&wire[..cut], &wire[cut..]] {
            buffered.extend(part);
            out.extend(chunks.decode(&mut buffered).expect("the chunks are valid"));
        }
        assert_eq!(
            (out.as_slice(), chunks.complete),
            (&b"hello\r\n!"[..], true),
            "cut at {cut}"
        );
    }
}
