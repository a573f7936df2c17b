//! One accepted connection: it holds its place among the allowed ones for as
//! long as it lives, upgraded or not, and ends without losing its last answer.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};

use super::activity::Activity;

/// A peer that is told 413 goes on sending for a moment; this much is thrown
/// away before the socket is closed under it.
const MOST_DISCARDED: usize = 16 * 1024 * 1024;
/// A peer that neither sends nor closes is not waited for longer.
const LONGEST_CLOSE: Duration = Duration::from_secs(2);

/// An accepted TCP connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    discarded: usize,
    closing: Option<Pin<Box<Sleep>>>,
    activity: Activity,
    /// Given back when the connection ends, also after an upgrade.
    _place: OwnedSemaphorePermit,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, place: OwnedSemaphorePermit, activity: Activity) -> Self {
        Self {
            stream,
            discarded: 0,
            closing: None,
            activity,
            _place: place,
        }
    }

    /// Closing a socket under a peer that is still sending resets the
    /// connection, and a reset makes the peer forget an answer that it has but
    /// did not read yet (RFC 9112 section 9.6). So what it sends is thrown away
    /// until it closes as well, within limits.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waste = [0; 8 * 1024];
        while self.discarded < MOST_DISCARDED {
            let mut buffer = ReadBuf::new(&mut waste);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.discarded += buffer.filled().len();
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    let closing = &mut self.closing;
                    let closing = closing.get_or_insert_with(|| Box::pin(sleep(LONGEST_CLOSE)));
                    return closing.as_mut().poll(cx);
                }
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.activity.arrived();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.activity.sent();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.activity.sent();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        ready!(self.poll_discard(cx));
        Poll::Ready(Ok(()))
    }
}
