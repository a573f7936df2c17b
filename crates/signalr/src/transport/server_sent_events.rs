//! Server-Sent Events: one response that carries everything the server sends.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context as TaskContext, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use http_body::Frame;

use super::{Lookup, TransportKind, answer, look_up};
use crate::{
    Principal,
    close::CloseReason,
    connection::{Connection, Stage, drive},
    outbox::Queued,
    server::Core,
};

/// Opens the event stream of a connection.
pub(super) fn attach(
    core: &Arc<Core>,
    parts: &Parts,
    principal: Option<Arc<Principal>>,
) -> Response<Body> {
    let connection = match look_up(core, parts) {
        Lookup::Found(connection) => connection,
        Lookup::Remote(..) if core.is_draining() => return answer::leaving(),
        Lookup::Remote(remote) => remote.take(core),
        Lookup::Missing => return answer::text(StatusCode::BAD_REQUEST, answer::ID_REQUIRED),
        Lookup::Unknown => return answer::text(StatusCode::NOT_FOUND, answer::NO_CONNECTION),
    };
    if !core.options.transports.has(TransportKind::ServerSentEvents) {
        return answer::not_offered(TransportKind::ServerSentEvents);
    }
    if !connection.fix_transport(TransportKind::ServerSentEvents) {
        return match connection.transport() {
            Some(TransportKind::ServerSentEvents) => answer::text(StatusCode::CONFLICT, ""),
            Some(_) => answer::text(StatusCode::BAD_REQUEST, answer::TRANSPORT_FIXED),
            None => answer::text(StatusCode::NOT_FOUND, answer::NO_CONNECTION),
        };
    }
    connection.set_principal(principal);
    tokio::spawn(drive(Arc::clone(&connection), None));
    let mut response = Response::new(Body::new(Events {
        connection,
        opened: false,
    }));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache,no-store"),
    );
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::CONTENT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    // nginx holds an event stream back without it.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The body: it ends with the connection, and the connection with it.
struct Events {
    connection: Arc<Connection>,
    opened: bool,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !std::mem::replace(&mut self.opened, true) {
            // Something at once, so that the client sees the stream open.
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b":\r\n")))));
        }
        let connection = &self.connection;
        connection.register_sink(cx);
        let stalled = &connection.times.stalled_since;
        if connection.outbox().is_empty() {
            stalled.store(0, Ordering::Relaxed);
            let over = connection.stage() >= Stage::Ending && connection.outbox().has_ended();
            return if over {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        }
        // Asked for more: what was given before is on its way.
        stalled.store(0, Ordering::Relaxed);
        let messages = connection.take_outgoing();
        let tag = messages.iter().map(|each| each.tag).max().unwrap_or(0);
        let unconfirmed = &connection.http().unconfirmed;
        unconfirmed.fetch_max(tag, Ordering::AcqRel);
        Poll::Ready(Some(Ok(Frame::data(events(&messages).into()))))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.connection.request_close(CloseReason::TransportLost);
    }
}

/// Each message as one event.
fn events(messages: &[Queued]) -> Vec<u8> {
    let length: usize = messages.iter().map(|each| each.frame.len() + 16).sum();
    let mut out = Vec::with_capacity(length);
    for message in messages {
        write_event(&mut out, message.frame.payload());
    }
    out
}

/// A payload with line feeds becomes several `data:` lines; a carriage return
/// before a line feed is cut, unless the line is nothing else.
fn write_event(out: &mut Vec<u8>, payload: &[u8]) {
    let mut rest = payload;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let line = &rest[..end];
        let line = match line {
            [text @ .., b'\r'] if !text.is_empty() => text,
            line => line,
        };
        write_line(out, line);
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() || payload.is_empty() {
        write_line(out, rest);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(line);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::write_event;

    #[test]
    fn payloads_are_framed_by_line() {
        for (payload, event) in [
            (&b"{}\x1e"[..], &b"data: {}\x1e\r\n\r\n"[..]),
            (b"a\nb", b"data: a\r\ndata: b\r\n\r\n"),
            (b"a\r\nb\r", b"data: a\r\ndata: b\r\r\n\r\n"),
            (b"\r\n", b"data: \r\r\n\r\n"),
        ] {
            let mut out = Vec::new();
            write_event(&mut out, payload);
            assert_eq!(out, event, "{payload:?}");
        }
    }
}
