//! What a client's bytes mean: messages, dispatched in order.
//!
//! Plain invocations take one of the client's slots; while none is free the
//! session is *blocked*, and what follows waits unread, in order. The same
//! when an upload's buffer is full. Streams run beside.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context as TaskContext, Poll},
};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

use super::{
    Connection,
    call::{self, Accepted, Finished},
    stateful::InboundCount,
};
use crate::{
    close::CloseReason,
    hub::{Call, Context, Fault, HubError, Method, Pushed, UploadError, UploadSink},
    protocol::{
        Completion, CompletionOutcome, HubMessage, HubProtocol, Invocation, Parsed, ProtocolError,
        StreamItem,
    },
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

/// Calls of one client that may be under way at the same time, streams among
/// them: what a client can make the server remember is bounded.
const MAX_RUNNING: usize = 1000;

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
    /// Bytes that make no whole message yet, or wait while blocked.
    buffer: Vec<u8>,
    blocked: bool,
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
    inbound: Option<Box<InboundCount>>,
}

impl Session {
    pub(crate) fn new(connection: Arc<Connection>, protocol: HubProtocol, stateful: bool) -> Self {
        Self {
            connection,
            protocol,
            buffer: Vec::new(),
            blocked: false,
            slots: Vec::new(),
            running: None,
            streaming: None,
            streams: HashMap::new(),
            plain: HashMap::new(),
            uploads: Uploads::new(),
            inbound: stateful.then(Box::default),
        }
    }

    /// Bytes that wait to be dealt with.
    pub(crate) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Whether a message waits for a slot or for room in an upload.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether half a message is left.
    pub(crate) fn has_partial_message(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Keeps bytes for later without looking at them.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the client's next bytes and deals with every whole message.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        cx: &mut TaskContext<'_>,
    ) -> Result<(), CloseReason> {
        if !self.buffer.is_empty() {
            self.buffer.extend_from_slice(bytes);
            return if self.blocked {
                self.apply_acks()
            } else {
                self.resume(cx)
            };
        }
        let used = self.process(bytes, cx)?;
        self.buffer.extend_from_slice(&bytes[used..]);
        Ok(())
    }

    /// Goes on with what waits.
    pub(crate) fn resume(&mut self, cx: &mut TaskContext<'_>) -> Result<(), CloseReason> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut waiting = std::mem::take(&mut self.buffer);
        let used = self.process(&waiting, cx)?;
        if used < waiting.len() {
            waiting.drain(..used);
            self.buffer = waiting;
        }
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
        self.buffer = Vec::new();
        self.set_blocked(false);
    }

    fn set_blocked(&mut self, blocked: bool) {
        if self.blocked != blocked {
            self.blocked = blocked;
            self.connection.reading_waits(blocked);
        }
    }

    /// The connection is over: uploads end, tokens trip, streams are dropped.
    /// Invocations that are under way go on without it, as in ASP.NET Core: a
    /// client may leave right behind what it asked for.
    pub(crate) fn end(&mut self) {
        for (_, (_, sink)) in self.uploads.drain() {
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
        self.buffer = Vec::new();
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

    /// Deals with the whole messages at the start of `input`; gives their length.
    fn process(&mut self, input: &[u8], cx: &mut TaskContext<'_>) -> Result<usize, CloseReason> {
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
                }
                Parsed::Unknown { consumed } => at += consumed,
                Parsed::Incomplete => {
                    return match limit {
                        Some(limit) if rest.len() > limit => Err(too_large(limit)),
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
    fn apply_acks(&self) -> Result<(), CloseReason> {
        if self.inbound.is_none() {
            return Ok(());
        }
        let mut at = 0;
        while let Ok(parsed) = self.protocol.parse(&self.buffer[at..]) {
            at += match parsed {
                Parsed::Message { message, consumed } => {
                    if let HubMessage::Ack { sequence_id } = message {
                        self.acknowledge(sequence_id);
                    }
                    consumed
                }
                Parsed::Unknown { consumed } => consumed,
                Parsed::Incomplete => break,
            };
        }
        Ok(())
    }

    fn stream_item(&mut self, item: &StreamItem<'_>) -> Result<Dispatched, CloseReason> {
        if self
            .inbound
            .as_ref()
            .is_some_and(|inbound| inbound.next_is_repeat())
        {
            self.is_new();
            return Ok(Dispatched::Done);
        }
        let sink = self.uploads.get(&*item.invocation_id);
        let Some((_, sink)) = sink else {
            // Property order decides in ASP.NET Core: the item cannot be read
            // before its stream is known.
            if item.item_before_id {
                return Err(CloseReason::Protocol {
                    exception: "KeyNotFoundException",
                    message: format!("No stream with id '{}' could be found.", item.invocation_id),
                });
            }
            self.is_new();
            return Ok(Dispatched::Done);
        };
        if sink.push(item.item) == Pushed::Full {
            return Ok(Dispatched::Blocked);
        }
        // Counted only once it is taken. One that is of the wrong type counts
        // too, as it does for the client (ASP.NET Core forgets it, and the two
        // counts drift apart).
        self.is_new();
        Ok(Dispatched::Done)
    }

    fn completion(&mut self, completion: Completion<'_>, frame: &[u8]) -> Result<(), CloseReason> {
        let id = &*completion.invocation_id;
        if let Some((_, sink)) = self.uploads.remove(id) {
            sink.end(match completion.outcome {
                CompletionOutcome::Error(error) => Err(UploadError::Client(error.into_owned())),
                _ => Ok(()),
            });
            return Ok(());
        }
        let core = self.connection.core();
        let own = self.connection.id();
        let answered = core.client_results.complete(own, id, &completion.outcome)?;
        if let (Some(back), Some(relay)) = (answered, &core.relay) {
            // As the client wrote it: only the node that asked reads it.
            relay.complete(back.to, self.protocol, Bytes::copy_from_slice(frame));
        }
        Ok(())
    }

    fn invocation(
        &mut self,
        invocation: &Invocation<'_>,
        streaming: bool,
        cx: &mut TaskContext<'_>,
    ) -> Result<(), CloseReason> {
        if invocation.stray_payload && invocation.invocation_id.is_some() {
            return Ok(());
        }
        let core = Arc::clone(self.connection.core());
        let method = core.methods.get(&invocation.target);
        let call = Arc::new(Call::default());
        let context = Context::new(Arc::clone(&self.connection), Some(Arc::clone(&call)));
        let id: Option<Arc<str>> = invocation.invocation_id.as_deref().map(Arc::from);
        let bound = match method {
            Some(method) => self.bind(method, context, invocation, streaming),
            None => Err(Fault::UnknownMethod.into()),
        };
        let mut uploads = Vec::new();
        let bound = bound.map(|(bound, sinks)| {
            for (stream_id, sink) in sinks {
                uploads.push(stream_id.clone());
                self.uploads.insert(stream_id, (Arc::clone(&call), sink));
            }
            bound
        });
        let runs = bound.is_ok();
        let takes_slot = !streaming && uploads.is_empty();
        let accepted = Accepted {
            connection: Arc::clone(&self.connection),
            call: Arc::clone(&call),
            target: method
                .map_or(&*invocation.target, |method| &*method.name)
                .into(),
            known: method.is_some(),
            argument_count: invocation.arguments.len(),
            protocol: self.protocol,
            invocation_id: id.clone(),
            bound,
            uploads,
            streaming: streaming && runs,
        };
        if let Some(id) = id.filter(|_| streaming && runs) {
            self.streams.insert(id, Arc::clone(&call));
        }
        if takes_slot {
            self.slots.push(call);
        }
        self.start(accepted, cx)
    }

    /// Most methods end at once: only those that wait are kept.
    fn start(&mut self, accepted: Accepted, cx: &mut TaskContext<'_>) -> Result<(), CloseReason> {
        let cancellable = accepted
            .invocation_id
            .clone()
            .filter(|_| !accepted.streaming);
        let call = Arc::clone(&accepted.call);
        let streaming = accepted.streaming;
        let mut future = call::run(accepted);
        match future.poll_unpin(cx) {
            Poll::Ready(finished) => self.finish(finished),
            Poll::Pending => {
                let under_way =
                    |set: &Option<Box<Running>>| set.as_ref().map_or(0, |set| set.len());
                if under_way(&self.running) + under_way(&self.streaming) >= MAX_RUNNING {
                    return Err(CloseReason::Closed {
                        error: Some(format!(
                            "More than {MAX_RUNNING} invocations are under way."
                        )),
                        allow_reconnect: false,
                    });
                }
                let set = match streaming {
                    true => &mut self.streaming,
                    false => &mut self.running,
                };
                set.get_or_insert_default().push(UnderWay {
                    call: Arc::clone(&call),
                    future,
                });
                if let Some(id) = cancellable {
                    self.plain.insert(id, call);
                }
                cx.waker().wake_by_ref();
                Ok(())
            }
        }
    }

    /// Every check before a method runs, in the order of ASP.NET Core.
    fn bind(
        &mut self,
        method: &Method,
        context: Context,
        invocation: &Invocation<'_>,
        streaming: bool,
    ) -> Result<(crate::hub::BoundCall, crate::hub::Sinks), HubError> {
        let name = &method.name;
        let (provided, expected) = (invocation.arguments.len(), method.arguments);
        if provided != expected {
            let message = format!(
                "Invocation provides {provided} argument(s) but target expects {expected}."
            );
            return Err(Fault::Binding(message).into());
        }
        let capacity = self.connection.core().options.stream_buffer_capacity;
        let principal = self.connection.principal();
        let bound = method.bind(context, invocation, capacity)?;
        if !method.authorization.allows(principal.as_deref()) {
            return Err(Fault::Unauthorized.into());
        }
        let exact = |text: String| Err(Fault::Exact(text).into());
        if method.streaming && !streaming {
            return exact(format!(
                "The client attempted to invoke the streaming '{name}' method with a non-streaming invocation."
            ));
        }
        if !method.streaming && streaming {
            return exact(format!(
                "The client attempted to invoke the non-streaming '{name}' method with a streaming invocation."
            ));
        }
        let (sent, wanted) = (invocation.stream_ids.len(), method.uploads);
        if sent != wanted {
            let message = format!("Client sent {sent} stream(s), Hub method expects {wanted}.");
            return Err(HubError::new(message));
        }
        if streaming
            && let Some(id) = invocation.invocation_id.as_deref()
            && self.streams.remove(id).is_some()
        {
            // As recorded, the refusal also takes the active stream's
            // cancellation away.
            return exact(format!("Invocation ID '{id}' is already in use."));
        }
        Ok(bound)
    }
}

fn too_large(limit: usize) -> CloseReason {
    CloseReason::Protocol {
        exception: "InvalidDataException",
        message: format!(
            "The maximum message size of {limit}B was exceeded. The message size can be configured in \
             AddHubOptions."
        ),
    }
}
