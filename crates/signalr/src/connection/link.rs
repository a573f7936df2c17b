//! The socket of a WebSocket connection: frames in, frames out, receipts.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::{
    outbox::{Frame, Outbox, Queued},
    websocket::{Decoder, Opcode},
};

/// An upgraded HTTP connection.
pub(crate) type Socket = TokioIo<Upgraded>;

/// Pongs that may wait to be written. Beyond them only the latest Ping is
/// answered, which RFC 6455, section 5.5.3, allows.
const MAX_PONGS: u32 = 16;

/// In place of a tag: the frame is a Pong.
const PONG: u64 = u64::MAX;

/// The most that one write takes.
const MAX_SLICES: usize = 32;

thread_local! {
    /// All connections of a thread read into the same buffer: an idle one
    /// has none of its own.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 16 * 1024]);
}

/// A socket and what is under way on it.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Socket,
    pub(crate) decoder: Decoder,
    /// Taken from the outbox and not yet written.
    pub(crate) writing: VecDeque<Queued>,
    /// Bytes of the first frame that were written.
    written: usize,
    receipts: Receipts,
    /// The peer's close frame came, or the peer is gone.
    pub(crate) peer_closed: bool,
    unflushed: bool,
    /// Pongs in the outbox or in `writing`.
    pongs: u32,
    /// The latest Ping that found no place among them.
    late_ping: Option<Vec<u8>>,
    /// Hub messages that were written and not yet told of.
    pub(crate) messages: usize,
}

/// What is known to have arrived, by Pongs.
#[derive(Debug, Default)]
struct Receipts {
    /// Highest tag that was taken from the outbox.
    taken: u64,
    /// The Ping in flight: its number, and the tag that its Pong confirms.
    in_flight: Option<(u64, u64)>,
    /// Highest tag that a Ping was sent for.
    asked: u64,
    next: u64,
}

impl Link {
    pub(crate) fn new(socket: Socket) -> Self {
        Self {
            socket,
            decoder: Decoder::default(),
            writing: VecDeque::new(),
            written: 0,
            receipts: Receipts {
                next: rand_start(),
                ..Receipts::default()
            },
            peer_closed: false,
            unflushed: false,
            pongs: 0,
            late_ping: None,
            messages: 0,
        }
    }

    /// Reads what is there and hands it to `take`. `Ready(Ok(0))` is the end.
    pub(crate) fn poll_read<R>(
        &mut self,
        cx: &mut TaskContext<'_>,
        take: impl FnOnce(&mut Decoder, &mut [u8]) -> R,
    ) -> Poll<io::Result<Option<R>>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            let bytes = buffer.filled_mut();
            if bytes.is_empty() {
                return Poll::Ready(Ok(None));
            }
            Poll::Ready(Ok(Some(take(&mut self.decoder, bytes))))
        })
    }

    /// Writes as much as goes; gives the bytes that went. `Pending` only when
    /// the socket takes no more.
    pub(crate) fn poll_write(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<usize>> {
        let mut total = 0;
        while !self.writing.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut count = 0;
            for (slice, queued) in slices.iter_mut().zip(&self.writing) {
                let skip = if count == 0 { self.written } else { 0 };
                *slice = IoSlice::new(&queued.frame.web_socket()[skip..]);
                count += 1;
            }
            match Pin::new(&mut self.socket).poll_write_vectored(cx, &slices[..count]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    self.advance(written);
                    total += written;
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if total > 0 => return Poll::Ready(Ok(total)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.socket).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {}
            }
        }
        Poll::Ready(Ok(total))
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn advance(&mut self, mut bytes: usize) {
        while let Some(first) = self.writing.front() {
            let left = first.frame.len() - self.written;
            if bytes < left {
                self.written += bytes;
                return;
            }
            bytes -= left;
            self.written = 0;
            self.messages += usize::from(!first.frame.is_control());
            if first.tag == PONG {
                self.pongs = self.pongs.saturating_sub(1);
            }
            self.writing.pop_front();
        }
        if self.writing.capacity() > 8 {
            self.writing = VecDeque::new();
        }
    }

    /// A Ping came; gives the Pong to queue, with its tag.
    pub(crate) fn pinged(&mut self, payload: Vec<u8>) -> Option<(Frame, u64)> {
        if self.pongs >= MAX_PONGS {
            self.late_ping = Some(payload);
            return None;
        }
        self.pongs += 1;
        Some((Frame::control(Opcode::Pong, &payload), PONG))
    }

    /// The Pong that waited for a place.
    pub(crate) fn late_pong(&mut self) -> Option<(Frame, u64)> {
        if self.pongs >= MAX_PONGS {
            return None;
        }
        let payload = self.late_ping.take()?;
        self.pinged(payload)
    }

    /// Whether there is something to write at once. What comes later wakes.
    pub(crate) fn has_more(&self) -> bool {
        !self.writing.is_empty() || self.late_ping.is_some()
    }

    /// Takes all that waits to be written.
    pub(crate) fn take(&mut self, outbox: &mut Outbox) {
        let before = self.writing.len();
        outbox.take(&mut self.writing);
        let tags = self.writing.range(before..).map(|queued| queued.tag);
        let highest = tags.filter(|tag| *tag != PONG).max().unwrap_or(0);
        self.receipts.taken = self.receipts.taken.max(highest);
    }

    /// A Ping frame, where something was taken that nobody knows to have
    /// arrived and no other Ping is in flight. It is to be written behind that.
    pub(crate) fn wanted_ping(&mut self) -> Option<Frame> {
        let receipts = &mut self.receipts;
        if receipts.in_flight.is_some() || receipts.taken <= receipts.asked {
            return None;
        }
        let number = receipts.next;
        receipts.next = number.wrapping_add(1);
        receipts.asked = receipts.taken;
        receipts.in_flight = Some((number, receipts.taken));
        Some(Frame::control(Opcode::Ping, &number.to_be_bytes()))
    }

    /// The payload of the Pong that is awaited: no other one counts (RFC 6455,
    /// section 5.5.3 allows Pongs that nobody asked for).
    pub(crate) fn awaited_pong(&self) -> Option<[u8; 8]> {
        let (number, _) = self.receipts.in_flight?;
        Some(number.to_be_bytes())
    }

    /// The awaited Pong came; gives the tag up to which everything arrived.
    pub(crate) fn pong(&mut self) -> u64 {
        let answered = self.receipts.in_flight.take();
        answered.map_or(0, |(_, tag)| tag)
    }
}

/// Numbers of Pings start anywhere, so that no peer answers one by habit.
fn rand_start() -> u64 {
    u64::from_le_bytes(crate::connection_token::random())
}
