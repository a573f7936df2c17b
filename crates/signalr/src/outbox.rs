//! What waits to be written to one client: bounded, shared, in order.
//!
//! A [`Frame`] is made once and shared by all receivers. The outbox is the
//! only way from hub code to a transport; it keeps the bound on what a slow
//! receiver costs, and for stateful connections what is not acknowledged yet.

use std::{collections::VecDeque, task::Waker};

use bytes::{Buf as _, Bytes};

use crate::{
    protocol::{HubProtocol, TransferFormat, WriteError},
    websocket::{self, HEADER_ROOM, Opcode},
};

/// Room for most messages, so that they are written without growing.
const USUAL_LENGTH: usize = 512;

/// One hub message in one protocol, with the WebSocket header in front, so
/// that a WebSocket writes it as it is and other transports take its payload.
#[derive(Debug, Clone)]
pub struct Frame {
    bytes: Bytes,
    payload_at: u8,
    /// Counts for stateful reconnect (message types 1 to 5).
    counted: bool,
    /// An invocation that wants no answer: it may be sent again.
    event: bool,
}

impl Frame {
    /// A message of type 1 to 5.
    pub(crate) fn message(
        protocol: HubProtocol,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
    ) -> Result<Self, WriteError> {
        Self::build(protocol, true, write)
    }

    /// Marks an invocation that wants no answer.
    pub(crate) fn marked_event(mut self, event: bool) -> Self {
        self.event = event;
        self
    }

    pub(crate) fn is_event(&self) -> bool {
        self.event
    }

    /// A message that is not counted: handshake, Ping, Close, Ack, Sequence.
    pub(crate) fn uncounted(protocol: HubProtocol, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let built = Self::build(protocol, false, |out| {
            write(out);
            Ok(())
        });
        built.expect("nothing that can fail is written")
    }

    /// The answer to a handshake: JSON text, in a frame of the client's format.
    pub(crate) fn handshake(format: TransferFormat, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let carrier = match format {
            TransferFormat::Text => HubProtocol::Json,
            TransferFormat::Binary => HubProtocol::MessagePack,
        };
        Self::uncounted(carrier, write)
    }

    /// A WebSocket control frame.
    pub(crate) fn control(opcode: Opcode, payload: &[u8]) -> Self {
        let bytes = Bytes::from(websocket::control(opcode, payload));
        Self {
            payload_at: bytes.len() as u8,
            bytes,
            counted: false,
            event: false,
        }
    }

    /// A WebSocket close frame.
    pub(crate) fn close(code: u16) -> Self {
        let bytes = Bytes::from(websocket::close(code));
        Self {
            payload_at: bytes.len() as u8,
            bytes,
            counted: false,
            event: false,
        }
    }

    fn build(
        protocol: HubProtocol,
        counted: bool,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
    ) -> Result<Self, WriteError> {
        let mut buffer = Vec::with_capacity(USUAL_LENGTH);
        buffer.resize(HEADER_ROOM, 0);
        write(&mut buffer)?;
        let opcode = match protocol.transfer_format() {
            TransferFormat::Text => Opcode::Text,
            TransferFormat::Binary => Opcode::Binary,
        };
        let start = websocket::finish_message(&mut buffer, opcode);
        let mut bytes = Bytes::from(buffer);
        bytes.advance(start);
        Ok(Self {
            bytes,
            payload_at: (HEADER_ROOM - start) as u8,
            counted,
            event: false,
        })
    }

    /// The frame as a WebSocket writes it.
    pub(crate) fn web_socket(&self) -> &[u8] {
        &self.bytes
    }

    /// The hub message alone.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[usize::from(self.payload_at)..]
    }

    /// The hub message alone, shared.
    pub(crate) fn payload_bytes(&self) -> Bytes {
        self.bytes.slice(usize::from(self.payload_at)..)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is a WebSocket's own frame and no hub message.
    pub(crate) fn is_control(&self) -> bool {
        usize::from(self.payload_at) == self.bytes.len()
    }
}

/// A frame on its way, with the tag by which hub code learns that it arrived;
/// 0 for none.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) frame: Frame,
    pub(crate) tag: u64,
}

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The connection is over.
    Ended,
    /// More than the bound waits already.
    Full,
}

/// The frames that wait for one client.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Queued>,
    /// Bytes queued here or taken by the writer and not written yet.
    unwritten: usize,
    /// Nothing more is taken in.
    ended: bool,
    /// No transport is attached: counted frames stay in `unacknowledged` only.
    detached: bool,
    unacknowledged: Option<Box<Unacknowledged>>,
    space_waiters: Vec<Waker>,
}

/// Messages that a stateful client has not acknowledged.
#[derive(Debug, Default)]
struct Unacknowledged {
    frames: VecDeque<Queued>,
    bytes: usize,
    /// Id of the last frame in `frames`; ids count from 1.
    last_id: i64,
}

impl Outbox {
    /// Keeps counted frames until they are acknowledged, from now on.
    pub(crate) fn keep_unacknowledged(&mut self) {
        self.unacknowledged = Some(Box::default());
    }

    /// Whether unacknowledged frames are kept.
    pub(crate) fn is_stateful(&self) -> bool {
        self.unacknowledged.is_some()
    }

    /// Takes a frame in, unless more than `limit` bytes wait.
    pub(crate) fn push(&mut self, frame: Frame, tag: u64, limit: usize) -> Result<(), Refused> {
        if self.ended {
            return Err(Refused::Ended);
        }
        if self.waiting_bytes() > limit {
            return Err(Refused::Full);
        }
        if let Some(kept) = &mut self.unacknowledged
            && frame.counted
        {
            kept.last_id += 1;
            kept.bytes += frame.len();
            kept.frames.push_back(Queued {
                frame: frame.clone(),
                tag,
            });
        }
        if self.detached {
            return Ok(());
        }
        self.unwritten += frame.len();
        self.queue.push_back(Queued { frame, tag });
        Ok(())
    }

    /// Bytes for which the client is awaited.
    pub(crate) fn waiting_bytes(&self) -> usize {
        let kept = self.unacknowledged.as_ref().map_or(0, |kept| kept.bytes);
        self.unwritten.max(kept)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unwritten == 0
    }

    /// Whether a method's own answer may be pushed now; registers for a wake
    /// when not. `stateful_limit` bounds what is not acknowledged.
    pub(crate) fn has_space(&mut self, limit: usize, stateful_limit: usize, waker: &Waker) -> bool {
        let kept = self.unacknowledged.as_ref().map_or(0, |kept| kept.bytes);
        if self.ended || (self.unwritten <= limit && kept <= stateful_limit) {
            return true;
        }
        if !self.space_waiters.iter().any(|each| each.will_wake(waker)) {
            self.space_waiters.push(waker.clone());
        }
        false
    }

    /// Gives everything that waits to the writer, which reports with
    /// [`written`](Self::written).
    pub(crate) fn take(&mut self, into: &mut VecDeque<Queued>) {
        if into.is_empty() {
            std::mem::swap(&mut self.queue, into);
        } else {
            into.append(&mut self.queue);
        }
    }

    /// Puts frames in front of all that waits, to be sent once more.
    pub(crate) fn put_back(&mut self, frames: Vec<Queued>) {
        for queued in frames.into_iter().rev() {
            self.unwritten += queued.frame.len();
            self.queue.push_front(queued);
        }
    }

    /// `bytes` were written: room for those who wait.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.unwritten = self.unwritten.saturating_sub(bytes);
        self.wake_waiters();
    }

    /// The client has everything up to `id`; gives the highest tag among it.
    pub(crate) fn acknowledge(&mut self, id: i64) -> u64 {
        let Some(kept) = &mut self.unacknowledged else {
            return 0;
        };
        let mut tag = 0;
        while kept.last_id - (kept.frames.len() as i64) < id
            && let Some(first) = kept.frames.pop_front()
        {
            kept.bytes -= first.frame.len();
            tag = tag.max(first.tag);
        }
        self.wake_waiters();
        tag
    }

    /// The transport broke; counted frames wait for the next one.
    pub(crate) fn detach(&mut self) {
        self.detached = true;
        self.queue = VecDeque::new();
        self.unwritten = 0;
        self.wake_waiters();
    }

    /// A new transport: Sequence first, then what was not acknowledged.
    pub(crate) fn reattach(&mut self, protocol: Option<HubProtocol>) {
        self.detached = false;
        let (Some(kept), Some(protocol)) = (&self.unacknowledged, protocol) else {
            return;
        };
        let next_id = kept.last_id - kept.frames.len() as i64 + 1;
        let sequence = Frame::uncounted(protocol, |out| protocol.write_sequence(out, next_id));
        self.unwritten += sequence.len() + kept.bytes;
        self.queue.push_back(Queued {
            frame: sequence,
            tag: 0,
        });
        let again = kept.frames.iter();
        self.queue.extend(again.map(|each| Queued {
            frame: each.frame.clone(),
            tag: each.tag,
        }));
    }

    /// Takes nothing more in; what waits may still be written.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.unacknowledged = None;
        self.wake_waiters();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    fn wake_waiters(&mut self) {
        for waker in std::mem::take(&mut self.space_waiters) {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: &str) -> Frame {
        Frame::message(HubProtocol::Json, |out| {
            HubProtocol::Json.write_end(out, id, None);
            Ok(())
        })
        .unwrap()
    }

    fn payloads(outbox: &mut Outbox) -> Vec<String> {
        let mut taken = VecDeque::new();
        outbox.take(&mut taken);
        taken
            .iter()
            .map(|each| String::from_utf8(each.frame.payload().to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn what_exceeds_the_bound_is_refused() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(frame("1"), 0, 10), Ok(()));
        assert_eq!(outbox.push(frame("2"), 0, 10), Err(Refused::Full));
        outbox.written(1000);
        assert_eq!(outbox.push(frame("3"), 0, 10), Ok(()));
        outbox.end();
        assert_eq!(outbox.push(frame("4"), 0, 10), Err(Refused::Ended));
    }

    #[test]
    fn a_reattach_replays_what_was_not_acknowledged() {
        let mut outbox = Outbox::default();
        outbox.keep_unacknowledged();
        for id in ["1", "2", "3"] {
            outbox.push(frame(id), 7, 1000).unwrap();
        }
        assert_eq!(outbox.acknowledge(1), 7);
        outbox.detach();
        outbox.push(frame("4"), 0, 1000).unwrap();
        outbox.reattach(Some(HubProtocol::Json));
        let replayed = payloads(&mut outbox);
        assert_eq!(replayed[0], "{\"type\":9,\"sequenceId\":2}\u{1e}");
        assert_eq!(replayed.len(), 4);
        assert!(replayed[1].contains("\"2\"") && replayed[3].contains("\"4\""));
    }

    #[test]
    fn an_ack_above_what_was_sent_is_all_and_one_below_is_nothing() {
        let mut outbox = Outbox::default();
        outbox.keep_unacknowledged();
        outbox.push(frame("1"), 0, 1000).unwrap();
        outbox.acknowledge(0);
        outbox.acknowledge(-5);
        assert!(outbox.waiting_bytes() > 0);
        outbox.written(1000);
        outbox.acknowledge(99);
        assert_eq!(outbox.waiting_bytes(), 0);
        outbox.push(frame("2"), 0, 1000).unwrap();
        outbox.detach();
        outbox.reattach(Some(HubProtocol::Json));
        assert_eq!(
            payloads(&mut outbox)[0],
            "{\"type\":9,\"sequenceId\":2}\u{1e}"
        );
    }
}
