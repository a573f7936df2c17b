//! What a client's bytes mean: messages, dispatched in order.
//!
//! Plain invocations take one of the client's slots; while none is free the
//! session is *blocked*, and what follows waits unread, in order. The same
//! when an upload's buffer is full. Streams run beside.

mod backlog;
mod invoking;
mod results;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context as TaskContext, Poll},
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

use self::backlog::Backlog;
use super::{Connection, call::Finished, stateful::InboundCount};
use crate::{
    close::CloseReason,
    hub::{Call, UploadError, UploadSink},
    protocol::{HubMessage, HubProtocol, Parsed, ProtocolError},
};

impl From<ProtocolError> for CloseReason {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol {
            exception: error.exception,
            message: error.message,
        }
    }
}

/// Whether a message was dealt with.
#[derive(Debug, PartialEq, Eq)]
enum Dispatched {
    Done,
    /// Not yet: offer it again later.
    Blocked,
}

/// The streams that the client sends, with the call that reads each: an id may
/// be taken up again as soon as its stream ended, before that call is over.
type Uploads = HashMap<Box<str>, (Arc<Call>, Box<dyn UploadSink>)>;

type Running = FuturesUnordered<UnderWay>;

/// An invocation that has begun.
struct UnderWay {
    call: Arc<Call>,
    future: BoxFuture<'static, Finished>,
}

impl Future for UnderWay {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Finished> {
        self.future.poll_unpin(cx)
    }
}

/// The state of one client's conversation, from its handshake on.
pub(crate) struct Session {
    connection: Arc<Connection>,
    protocol: HubProtocol,
    backlog: Backlog,
    blocked: bool,
    /// The client is gone; what it said before is still done.
    left: bool,
    /// Plain invocations that hold a slot.
    slots: Vec<Arc<Call>>,
    running: Option<Box<Running>>,
    /// Those that stream to the client, which end with it.
    streaming: Option<Box<Running>>,
    /// Active streams that can be cancelled.
    streams: HashMap<Arc<str>, Arc<Call>>,
    /// Plain invocations under way, which can be cancelled as well (as from
    /// .NET 11 on). Doubled ids are nobody's concern here: the last one counts.
    plain: HashMap<Arc<str>, Arc<Call>>,
    uploads: Uploads,
    /// Uploads whose ids their client took for others. As recorded, their
    /// readers wait: until their call ends, or the connection.
    displaced: Vec<(Arc<Call>, Box<dyn UploadSink>)>,
    inbound: Option<Box<InboundCount>>,
}

impl Session {
    pub(crate) fn new(connection: Arc<Connection>, protocol: HubProtocol, stateful: bool) -> Self {
        Self {
            connection,
            protocol,
            backlog: Backlog::default(),
            blocked: false,
            left: false,
            slots: Vec::new(),
            running: None,
            streaming: None,
            streams: HashMap::new(),
            plain: HashMap::new(),
            uploads: Uploads::new(),
            displaced: Vec::new(),
            inbound: stateful.then(Box::default),
        }
    }

    /// Bytes that wait to be dealt with.
    pub(crate) fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// Whether a message waits for a slot or for room in an upload.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether half a message is left.
    pub(crate) fn has_partial_message(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Whether Acks are read ahead of their turn.
    pub(crate) fn is_stateful(&self) -> bool {
        self.inbound.is_some()
    }

    /// Keeps bytes for later without looking at them.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.backlog.push(bytes);
    }

    /// Takes the client's next bytes and deals with every whole message.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        cx: &mut TaskContext<'_>,
    ) -> Result<(), CloseReason> {
        if self.backlog.is_empty() {
            let used = self.process(bytes, cx)?;
            self.backlog.push(&bytes[used..]);
        } else {
            self.backlog.push(bytes);
            if !self.blocked {
                return self.resume(cx);
            }
        }
        self.apply_acks();
        Ok(())
    }

    /// Goes on with what waits.
    pub(crate) fn resume(&mut self, cx: &mut TaskContext<'_>) -> Result<(), CloseReason> {
        if self.backlog.is_empty() {
            return Ok(());
        }
        let mut waiting = std::mem::take(&mut self.backlog);
        let used = self.process(waiting.rest(), cx)?;
        waiting.advance(used);
        self.backlog = waiting;
        self.apply_acks();
        Ok(())
    }

    /// Runs what is under way; true when something ended.
    pub(crate) fn poll_running(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, CloseReason> {
        let mut ended = self.poll_set(cx, |session| &mut session.running)?;
        ended |= self.poll_set(cx, |session| &mut session.streaming)?;
        let held = self.slots.len();
        self.slots.retain(|call| call.holds_slot());
        ended |= self.slots.len() < held;
        Ok(ended)
    }

    fn poll_set(
        &mut self,
        cx: &mut TaskContext<'_>,
        set: fn(&mut Self) -> &mut Option<Box<Running>>,
    ) -> Result<bool, CloseReason> {
        let mut ended = false;
        while let Some(running) = set(self) {
            match running.poll_next_unpin(cx) {
                Poll::Ready(Some(finished)) => {
                    ended = true;
                    self.finish(finished)?;
                }
                Poll::Ready(None) => *set(self) = None,
                Poll::Pending => break,
            }
        }
        Ok(ended)
    }

    /// A new socket: what the old one left half said is not finished by it.
    pub(crate) fn reattach(&mut self) {
        self.backlog = Backlog::default();
        self.set_blocked(false);
    }

    fn set_blocked(&mut self, blocked: bool) {
        if self.blocked != blocked {
            self.blocked = blocked;
            self.connection.reading_waits(blocked);
        }
    }

    /// The client is gone before its time, and what it said is still done: the
    /// tokens of all calls trip, also of those that are to begin, so that none
    /// keeps the others from their turn in waiting for it.
    pub(crate) fn client_left(&mut self) {
        self.left = true;
        for set in [&self.running, &self.streaming] {
            for under_way in set.iter().flat_map(|set| set.iter()) {
                under_way.call.cancel();
            }
        }
    }

    /// The connection is over: uploads end, tokens trip, streams are dropped.
    /// Invocations that are under way go on without it, as in ASP.NET Core: a
    /// client may leave right behind what it asked for.
    pub(crate) fn end(&mut self) {
        let uploads = self.uploads.drain().map(|(_, upload)| upload);
        for (_, sink) in uploads.chain(self.displaced.drain(..)) {
            sink.end(Err(UploadError::Disconnected));
        }
        self.slots.clear();
        self.streams.clear();
        self.plain.clear();
        // Dropping a call trips its token.
        self.streaming = None;
        if let Some(mut left) = self.running.take() {
            for under_way in left.iter() {
                under_way.call.cancel();
            }
            tokio::spawn(async move { while left.next().await.is_some() {} });
        }
        self.backlog = Backlog::default();
    }

    fn finish(&mut self, finished: Finished) -> Result<(), CloseReason> {
        for id in &finished.uploads {
            if let Some((call, _)) = self.uploads.get(id)
                && Arc::ptr_eq(call, &finished.call)
                && let Some((_, sink)) = self.uploads.remove(id)
            {
                sink.end(Err(UploadError::Disconnected));
            }
        }
        if !finished.uploads.is_empty() {
            self.end_displaced(&finished.call);
        }
        let calls = match finished.streaming {
            true => &mut self.streams,
            false => &mut self.plain,
        };
        if let Some(id) = &finished.invocation_id
            && calls
                .get(id)
                .is_some_and(|call| Arc::ptr_eq(call, &finished.call))
        {
            calls.remove(id);
        }
        finished.fatal.map_or(Ok(()), Err)
    }

    fn end_displaced(&mut self, call: &Arc<Call>) {
        self.displaced.retain(|(of, sink)| {
            let ended = Arc::ptr_eq(of, call);
            if ended {
                sink.end(Err(UploadError::Disconnected));
            }
            !ended
        });
    }

    /// Deals with the whole messages at the start of `input`; gives their length.
    fn process(&mut self, input: &[u8], cx: &mut TaskContext<'_>) -> Result<usize, CloseReason> {
        let mut messages = 0;
        let used = self.process_counting(input, &mut messages, cx);
        let bytes = *used.as_ref().unwrap_or(&input.len());
        self.connection.tell_received(messages, bytes);
        used
    }

    fn process_counting(
        &mut self,
        input: &[u8],
        messages: &mut usize,
        cx: &mut TaskContext<'_>,
    ) -> Result<usize, CloseReason> {
        let limit = self.connection.core().options.maximum_receive_message_size;
        let mut at = 0;
        self.set_blocked(false);
        while at < input.len() {
            let rest = &input[at..];
            // Like ASP.NET Core, nothing beyond the limit is looked at.
            let visible = limit.map_or(rest, |limit| &rest[..rest.len().min(limit)]);
            match self.protocol.parse(visible)? {
                Parsed::Message { message, consumed } => {
                    let frame = &visible[..consumed];
                    if self.dispatch(message, frame, cx)? == Dispatched::Blocked {
                        self.set_blocked(true);
                        return Ok(at);
                    }
                    at += consumed;
                    *messages += 1;
                }
                Parsed::Unknown { consumed } => at += consumed,
                Parsed::Incomplete => {
                    return match limit {
                        Some(limit) if rest.len() > limit => Err(CloseReason::too_large(limit)),
                        _ => Ok(at),
                    };
                }
            }
        }
        Ok(at)
    }

    fn dispatch(
        &mut self,
        message: HubMessage<'_>,
        frame: &[u8],
        cx: &mut TaskContext<'_>,
    ) -> Result<Dispatched, CloseReason> {
        if self.would_block(&message, cx) {
            return Ok(Dispatched::Blocked);
        }
        let times = &self.connection.times;
        let is_ping = matches!(message, HubMessage::Ping);
        if is_ping || times.last_received.load(Ordering::Relaxed) > 0 {
            times
                .last_received
                .store(self.connection.core().now().max(1), Ordering::Relaxed);
        }
        match message {
            HubMessage::Ping => {}
            HubMessage::Close { error, .. } => {
                return Err(CloseReason::ClientClosed {
                    error: error.map(|text| text.into_owned()),
                });
            }
            HubMessage::Ack { sequence_id } => self.acknowledge(sequence_id),
            HubMessage::Sequence { sequence_id } => {
                if let Some(inbound) = &mut self.inbound {
                    inbound.sequence(sequence_id)?;
                }
            }
            HubMessage::StreamItem(item) => return self.stream_item(&item),
            HubMessage::Invocation(invocation) if self.is_new() => {
                self.invocation(&invocation, false, cx)?;
            }
            HubMessage::StreamInvocation(invocation) if self.is_new() => {
                self.invocation(&invocation, true, cx)?;
            }
            HubMessage::Completion(completion) if self.is_new() => {
                self.completion(completion, frame)?;
            }
            HubMessage::CancelInvocation { invocation_id } if self.is_new() => {
                let stream = self.streams.remove(&*invocation_id);
                if let Some(call) = stream.or_else(|| self.plain.remove(&*invocation_id)) {
                    call.cancel();
                }
            }
            _ => {}
        }
        Ok(Dispatched::Done)
    }

    /// Whether the message has to wait: for a free slot, or for a client that
    /// does not take the answers to what it asked before.
    fn would_block(&mut self, message: &HubMessage<'_>, cx: &TaskContext<'_>) -> bool {
        let (HubMessage::Invocation(invocation) | HubMessage::StreamInvocation(invocation)) =
            message
        else {
            return false;
        };
        if !self.connection.has_space(cx.waker()) {
            return true;
        }
        // Streams, uploads and refusals run beside the slots.
        let core = self.connection.core();
        let takes_slot = matches!(message, HubMessage::Invocation(_))
            && invocation.stream_ids.is_empty()
            && core.methods.get(&invocation.target).is_some();
        self.slots.retain(|call| call.holds_slot());
        takes_slot && self.slots.len() >= core.options.maximum_parallel_invocations_per_client
    }

    /// Counts a message of a stateful client; false for one that came before.
    fn is_new(&mut self) -> bool {
        let Some(inbound) = &mut self.inbound else {
            return true;
        };
        let new = inbound.is_new();
        self.connection
            .times
            .processed_id
            .store(inbound.processed() as u64, Ordering::Relaxed);
        new
    }

    fn acknowledge(&self, sequence_id: i64) {
        if self.inbound.is_some() {
            let tag = self.connection.outbox().acknowledge(sequence_id);
            self.connection.receipt(tag, crate::ReceiptSource::Ack);
        }
    }

    /// While blocked, Acks are read ahead of their turn: the blocked method
    /// may wait for just that room. (ASP.NET Core deadlocks there.)
    fn apply_acks(&mut self) {
        if self.blocked
            && self.is_stateful()
            && let Some(id) = self.backlog.ack_ahead(self.protocol)
        {
            self.acknowledge(id);
        }
    }
}
