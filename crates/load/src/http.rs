//! As much of HTTP/1.1 as a load tester needs: a request, its answer, and an
//! answer that does not end. One connection, no pool, no redirects.
//!
//! Waiting for an answer can be given up and taken up again: what is still to
//! be written and what was read stay in the connection.

use std::io;

use memchr::memmem;
use tokio::net::TcpStream;

use crate::socket;

const LONGEST_HEAD: usize = 64 * 1024;
const LONGEST_BODY: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server's answer is no HTTP/1.1")]
    Malformed,
    #[error("the server's answer is too long")]
    TooLong,
}

/// A connection for one request after the other.
#[derive(Debug)]
pub(crate) struct HttpConnection {
    socket: TcpStream,
    inbox: Vec<u8>,
    outgoing: Vec<u8>,
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The connection takes no further request.
    pub(crate) closes: bool,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Length(usize),
    Chunked,
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) closes: bool,
    /// Its own length, the empty line included.
    pub(crate) length: usize,
}

impl HttpConnection {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            inbox: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<Answer, HttpError> {
        self.ask(request);
        self.answer().await
    }

    /// Sends a request with the next wait.
    pub(crate) fn ask(&mut self, request: &[u8]) {
        self.outgoing.extend_from_slice(request);
    }

    /// The next answer. May be dropped and called again.
    pub(crate) async fn answer(&mut self) -> Result<Answer, HttpError> {
        loop {
            if let Some((answer, consumed)) = parse_answer(&self.inbox)? {
                self.inbox.drain(..consumed);
                return Ok(answer);
            }
            self.read().await?;
        }
    }

    /// The head of an answer whose body goes on; what came behind it is given with it.
    pub(crate) async fn head(mut self) -> Result<(Head, Vec<u8>, TcpStream), HttpError> {
        loop {
            if let Some(head) = parse_head(&self.inbox)? {
                let rest = self.inbox.split_off(head.length);
                return Ok((head, rest, self.socket));
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), HttpError> {
        socket::flush(&self.socket, &mut self.outgoing).await?;
        match socket::read(&self.socket, &mut self.inbox).await? {
            0 => Err(HttpError::Closed),
            _ => Ok(()),
        }
    }
}

fn parse_answer(input: &[u8]) -> Result<Option<(Answer, usize)>, HttpError> {
    let Some(head) = parse_head(input)? else {
        return Ok(None);
    };
    let rest = &input[head.length..];
    let (body, consumed) = match head.body {
        Body::Length(length) if length > LONGEST_BODY => return Err(HttpError::TooLong),
        Body::Length(length) => match rest.get(..length) {
            Some(body) => (body.to_vec(), length),
            None => return Ok(None),
        },
        Body::Chunked => {
            let (mut chunks, mut body) = (Chunks::default(), Vec::new());
            let consumed = chunks.decode(rest, &mut body)?;
            if body.len() > LONGEST_BODY {
                return Err(HttpError::TooLong);
            }
            if !chunks.is_done() {
                return Ok(None);
            }
            (body, consumed)
        }
    };
    let answer = Answer {
        status: head.status,
        body,
        closes: head.closes,
    };
    Ok(Some((answer, head.length + consumed)))
}

/// The head, once it is all there.
pub(crate) fn parse_head(input: &[u8]) -> Result<Option<Head>, HttpError> {
    let Some(end) = memmem::find(input, b"\r\n\r\n") else {
        return if input.len() > LONGEST_HEAD {
            Err(HttpError::TooLong)
        } else {
            Ok(None)
        };
    };
    let text = std::str::from_utf8(&input[..end]).map_err(|_| HttpError::Malformed)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(status).ok_or(HttpError::Malformed)?;
    let (mut body, mut closes) = (Body::Length(0), false);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(HttpError::Malformed)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            body = Body::Length(value.parse().map_err(|_| HttpError::Malformed)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        }
    }
    Ok(Some(Head {
        status,
        body,
        closes,
        length: end + 4,
    }))
}

fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.1 ")?;
    rest.get(..3)?.parse().ok()
}

/// Reads a chunked body (RFC 9112, section 7.1), cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    state: ChunkState,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
    /// Digits of the length; the flag is set behind them.
    #[default]
    Start,
    Length(usize, bool),
    Data(usize),
    /// The line's end behind the data.
    DataEnd,
    /// Trailers, of which each line is skipped; the flag tells an empty line.
    Trailer(bool),
    Done,
}

impl Chunks {
    pub(crate) fn is_done(&self) -> bool {
        self.state == ChunkState::Done
    }

    /// Adds the body's bytes in `input` to `out`; gives how much was read.
    pub(crate) fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, HttpError> {
        let mut at = 0;
        while at < input.len() && self.state != ChunkState::Done {
            if let ChunkState::Data(left) = self.state {
                let piece = &input[at..(at + left).min(input.len())];
                out.extend_from_slice(piece);
                at += piece.len();
                self.state = match left - piece.len() {
                    0 => ChunkState::DataEnd,
                    left => ChunkState::Data(left),
                };
                continue;
            }
            self.state = self.step(input[at])?;
            at += 1;
        }
        Ok(at)
    }

    fn step(&self, byte: u8) -> Result<ChunkState, HttpError> {
        let digit = (byte as char).to_digit(16).map(|digit| digit as usize);
        Ok(match (self.state, byte, digit) {
            (ChunkState::Start, _, Some(digit)) => ChunkState::Length(digit, false),
            (ChunkState::Length(length, false), _, Some(digit)) => {
                let length = length * 16 + digit;
                if length > LONGEST_BODY {
                    return Err(HttpError::TooLong);
                }
                ChunkState::Length(length, false)
            }
            (ChunkState::Length(0, _), b'\n', _) => ChunkState::Trailer(true),
            (ChunkState::Length(length, _), b'\n', _) => ChunkState::Data(length),
            // An extension, which says nothing to us.
            (ChunkState::Length(length, _), _, _) => ChunkState::Length(length, true),
            (ChunkState::DataEnd, b'\r', _) => ChunkState::DataEnd,
            (ChunkState::DataEnd, b'\n', _) => ChunkState::Start,
            (ChunkState::Trailer(true), b'\n', _) => ChunkState::Done,
            (ChunkState::Trailer(empty), b'\r', _) => ChunkState::Trailer(empty),
            (ChunkState::Trailer(_), byte, _) => ChunkState::Trailer(byte == b'\n'),
            _ => return Err(HttpError::Malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chunks_cut_anywhere_give_the_same(pieces in prop::collection::vec("[a-z\r\n]{1,40}", 0..6), cut in 0_usize..300) {
            let mut stream = Vec::new();
            for piece in &pieces {
                stream.extend(format!("{:x};name=value\r\n{piece}\r\n", piece.len()).bytes());
            }
            stream.extend(b"0\r\nTrailer: x\r\n\r\nnext");
            let (mut chunks, mut body) = (Chunks::default(), Vec::new());
            let cut = cut.min(stream.len());
            let mut read = chunks.decode(&stream[..cut], &mut body).unwrap();
            if !chunks.is_done() {
                read += chunks.decode(&stream[cut..], &mut body).unwrap();
            }
            prop_assert!(chunks.is_done());
            prop_assert_eq!(read, stream.len() - "next".len());
            prop_assert_eq!(body, pieces.concat().into_bytes());
        }

        #[test]
        fn any_bytes_are_an_answer_or_an_error(bytes: Vec<u8>) {
            let _ = parse_answer(&bytes);
            let _ = Chunks::default().decode(&bytes, &mut Vec::new());
        }
    }

    #[test]
    fn an_answer_is_read_with_its_body() {
        let stream =
            b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nconnection: close\r\n\r\nokHTTP/1.1 ";
        let (answer, consumed) = parse_answer(stream).unwrap().unwrap();
        assert_eq!(
            (answer.status, &answer.body[..], answer.closes),
            (202, &b"ok"[..], true)
        );
        assert_eq!(&stream[consumed..], b"HTTP/1.1 ");
        assert!(parse_answer(&stream[..50]).unwrap().is_none());
        assert!(matches!(
            parse_answer(b"HTTP/1.0 200 OK\r\n\r\n"),
            Err(HttpError::Malformed)
        ));
        assert!(matches!(
            parse_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
            Err(HttpError::TooLong)
        ));
    }
}
