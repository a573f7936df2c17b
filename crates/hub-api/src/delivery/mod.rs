//! From the log to open connections, and back: who has what.
//!
//! The log is the truth; this module makes each connection follow it. It owns
//! the state of a connection as a reader of its user's log (`reader`), the
//! form in which entries are sent (`payload`), and the confirmation of what
//! arrived. What other hubs write is read from the log (`elsewhere`). It never
//! writes an entry, and knows nothing of HTTP.
//!
//! Invariants:
//! - A connection gets the entries of one contiguous range of the log, in
//!   order: what is confirmed on one connection was confirmed by all before it.
//! - The writer's hook never waits: a reader that is behind reads the log itself.

mod payload;
mod reader;
mod elsewhere;

pub(crate) use elsewhere::give_way;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use shared_dto::{
    UserId,
    notification::{AnalysisProgress, Resumed},
};
use signalr::{BackplaneStats, Context, HubContext, HubServer, Message, protocol::RawJson};
use time::OffsetDateTime;

use self::{
    elsewhere::Following,
    reader::{Reader, Step},
};
use crate::{
    config::{Confirm, EventNames},
    links::Links,
    metrics::{NotificationFigures, NotificationOutcome},
    nodes::Nodes,
    store::{
        Confirmation, Handed, LoggedEntry, OnCommitted, ReceiptSource, Store, StoreError, Stream,
    },
};
use telemetry::trace;
use tracing::span::EnteredSpan;

/// Entries read from the log at a time.
const PAGE: u32 = 100;

/// Progress is left out for a client with more than this unwritten.
const PROGRESS_LIMIT: usize = 16 * 1024;

/// Between two readings of a log that has not yet what was announced.
const BETWEEN_READINGS: Duration = Duration::from_millis(50);

/// What of the configuration decides how entries are sent.
#[derive(Debug, Clone, Copy)]
pub struct DeliverySettings {
    /// Which names of the analysis events are sent.
    pub event_names: EventNames,
    /// What confirms a notification.
    pub confirm: Confirm,
}

/// The way to open connections. Clones share it.
#[derive(Debug, Clone)]
pub struct Delivery {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: DeliverySettings,
    links: Links,
    nodes: Nodes,
    figures: Arc<NotificationFigures>,
    /// Streams of which another hub's entries are being handed out.
    following: Following,
    /// Set once the store is open and the hub serves; nothing is delivered before.
    serving: OnceLock<Serving>,
}

#[derive(Debug)]
struct Serving {
    store: Store,
    hub: HubServer,
    context: HubContext,
    path: &'static str,
}

impl Delivery {
    /// Delivers nothing until [`serve`](Self::serve).
    #[must_use]
    pub fn new(
        settings: DeliverySettings,
        links: Links,
        nodes: Nodes,
        figures: Arc<NotificationFigures>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                links,
                nodes,
                figures,
                following: Following::default(),
                serving: OnceLock::new(),
            }),
        }
    }

    /// From now on entries go to the clients of `hub`, which is mounted at `path`.
    pub fn serve(&self, store: Store, hub: HubServer, path: &'static str) {
        let context = hub.context();
        let set = self.shared.serving.set(Serving {
            store,
            hub,
            context,
            path,
        });
        debug_assert!(set.is_ok(), "a hub is started once");
    }

    fn serving(&self) -> Option<&Serving> {
        self.shared.serving.get()
    }

    // What the store and the routes tell

    /// What the store calls with each commit's entries.
    #[must_use]
    pub fn hook(&self) -> OnCommitted {
        let delivery = self.clone();
        Box::new(move |entries: &[LoggedEntry]| {
            let handed = entries
                .iter()
                .map(|entry| {
                    let handed = delivery.publish_here(entry);
                    delivery.shared.figures.posted(match handed {
                        0 => NotificationOutcome::Waiting,
                        _ => NotificationOutcome::Delivered,
                    });
                    handed
                })
                .collect();
            delivery.shared.nodes.announce(entries);
            handed
        })
    }

    /// Hands a new entry to the user's connections here; gives their number.
    /// It runs on the store's writer, so it never waits.
    fn publish_here(&self, entry: &LoggedEntry) -> usize {
        let _span = pushing(entry);
        let Some(serving) = self.serving() else {
            return 0;
        };
        let Some(user) = entry.stream.user() else {
            return 0;
        };
        let connections = serving.context.connections_of(user.as_str());
        if connections.is_empty() {
            return 0;
        }
        let arguments = self.arguments(entry);
        let mut messages = self.messages(&entry.event, &arguments);
        let mut handed = 0;
        for context in &connections {
            let reader = self.reader(context, &entry.stream);
            let step = reader.announce(entry.sequence, entry.created_at, || {
                self.send_all(context, &mut messages, entry.sequence)
            });
            if step == Step::CatchUp {
                self.spawn_catch_up(context.clone(), reader);
            }
            handed += usize::from(!context.is_closing());
        }
        handed
    }

    /// Sends progress to the owner's connections, and returns the number of
    /// those on this node. It never waits: for a slow client here it is dropped.
    #[must_use]
    pub fn progress(&self, progress: &AnalysisProgress) -> usize {
        let Some(serving) = self.serving() else {
            return 0;
        };
        let user = progress.user_id.as_str();
        let arguments = (progress,);
        let mut messages = self.messages("ReceiveAnalysisProgress", &arguments);
        for message in &mut messages {
            serving.context.user(user).send_to_other_nodes(message);
        }
        let connections = serving.context.connections_of(user);
        let mut sent = 0;
        for context in &connections {
            let keeps_up = context.waiting_bytes() <= PROGRESS_LIMIT;
            self.shared.figures.progress(keeps_up);
            if !keeps_up {
                continue;
            }
            for message in &mut messages {
                match context.send(message, 0) {
                    Ok(taken) => sent += usize::from(taken),
                    Err(error) => tracing::error!(%error, "progress cannot be written"),
                }
            }
        }
        sent / messages.len().max(1)
    }

    /// Sends an event that is not logged to every connection, or to those of a
    /// group; gives the number of those on this node. It never waits for them.
    ///
    /// # Errors
    /// When the arguments cannot be written for a client's protocol.
    pub async fn broadcast(
        &self,
        event: &str,
        arguments: &[RawJson],
        group: Option<&str>,
    ) -> Result<usize, signalr::protocol::WriteError> {
        let Some(serving) = self.serving() else {
            return Ok(0);
        };
        let clients = match group {
            Some(group) => serving.context.group(group),
            None => serving.context.all(),
        };
        clients.try_send(event, arguments).await
    }

    // What connections tell

    /// A connection opened: it reads the log once it resumed, or did not in time.
    pub fn open(&self, context: &Context, user: &UserId) {
        self.reader(context, &Stream::of_user(user));
    }

    /// An entry may be announced to a connection before it is opened here.
    fn reader(&self, context: &Context, stream: &Stream) -> Arc<Reader> {
        context.get_or_insert_with(|| Reader::new(stream.clone(), OffsetDateTime::now_utc()))
    }

    /// The client did not say where it stands: it gets what nobody confirmed.
    pub async fn begin_unresumed(&self, context: &Context) {
        let Some((serving, reader)) = self.serving().zip(context.get::<Reader>()) else {
            return;
        };
        if context.is_closing() || !reader.is_waiting() {
            return;
        }
        let first = match serving.store.stream_state(reader.stream()).await {
            Ok(state) => state.confirmed.max(state.oldest - 1) + 1,
            Err(error) => return self.give_up(context, &error),
        };
        if let Some(turn) = reader.begin_if_waiting(first) {
            self.catch_up(context, &reader, turn).await;
        }
    }

    /// The client has everything up to `after` of `epoch` (this one, where it
    /// names none) and gets the rest.
    ///
    /// # Errors
    /// When the log cannot be read; the client may ask again.
    pub async fn resume(
        &self,
        context: &Context,
        epoch: Option<&str>,
        after: i64,
    ) -> Result<Resumed, StoreError> {
        let (Some(serving), Some(reader)) = (self.serving(), context.get::<Reader>()) else {
            return Err(StoreError::Closed);
        };
        let state = serving.store.stream_state(reader.stream()).await?;
        let same_log = epoch.is_none_or(|epoch| *epoch == *state.epoch);
        let complete = same_log && after <= state.head && after + 1 >= state.oldest;
        let first = if complete { after + 1 } else { state.head + 1 };
        if complete && after > 0 {
            self.confirm(reader.stream(), after, ReceiptSource::Resume);
        }
        let turn = match complete {
            true => reader.begin(first),
            false => reader.begin_after_gap(first),
        };
        self.catch_up(context, &reader, turn).await;
        let to = reader.sent().max(first - 1);
        Ok(Resumed {
            epoch: state.epoch.to_string(),
            from: if complete { first } else { to + 1 },
            to,
            complete,
        })
    }

    /// The client saw everything up to `sequence`.
    ///
    /// # Errors
    /// When it could not be noted.
    pub async fn acknowledge(&self, context: &Context, sequence: i64) -> Result<(), StoreError> {
        let (Some(serving), Some(reader)) = (self.serving(), context.get::<Reader>()) else {
            return Err(StoreError::Closed);
        };
        serving
            .store
            .acknowledge(reader.stream(), sequence)
            .await
            .map(|_| ())
    }

    /// The transport shows that the client has everything up to `sequence`.
    pub fn receipt(&self, context: &Context, sequence: u64, source: signalr::ReceiptSource) {
        let source = match source {
            signalr::ReceiptSource::Pong => ReceiptSource::Pong,
            signalr::ReceiptSource::Poll => ReceiptSource::Poll,
            signalr::ReceiptSource::Message | signalr::ReceiptSource::Ack => {
                ReceiptSource::HubMessage
            }
        };
        if source == ReceiptSource::Pong && self.shared.settings.confirm == Confirm::Acknowledge {
            return;
        }
        if let (Some(reader), Ok(sequence)) = (context.get::<Reader>(), i64::try_from(sequence)) {
            let arrived = reader.arrived(sequence);
            if let Some((logged, serving)) = arrived.logged.zip(self.serving()) {
                let after = serving.store.clock().now().since(logged);
                self.shared.figures.arrived(after);
            }
            if arrived.confirms {
                self.confirm(reader.stream(), sequence, source);
            }
        }
    }

    fn confirm(&self, stream: &Stream, sequence: i64, source: ReceiptSource) {
        if let Some(serving) = self.serving() {
            self.shared.figures.confirmed(source);
            let at = serving.store.clock().now();
            let confirmation = Confirmation {
                stream: stream.clone(),
                sequence,
                source,
                at,
            };
            serving.store.confirm(vec![confirmation]);
        }
    }

    // Following the log

    fn spawn_catch_up(&self, context: Context, reader: Arc<Reader>) {
        let delivery = self.clone();
        tokio::spawn(async move {
            if let Some(turn) = reader.take_behind() {
                delivery.catch_up(&context, &reader, turn).await;
            }
        });
    }

    /// Sends what the log has and the connection has not, until it is live;
    /// stops when another turn began.
    async fn catch_up(&self, context: &Context, reader: &Reader, turn: u64) {
        let Some(serving) = self.serving() else {
            return;
        };
        let mut replayed = Replayed::new(&self.shared.figures);
        loop {
            let Some(after) = reader.position(turn) else {
                return;
            };
            let page = match serving.store.entries(reader.stream(), after, PAGE).await {
                Ok(page) => page,
                Err(error) => return self.give_up(context, &error),
            };
            let mut handed = Vec::new();
            for entry in &page.entries {
                let arguments = self.arguments(entry);
                let mut messages = self.messages(&entry.event, &arguments);
                context.wait_for_space().await;
                let taken = reader.hand(turn, entry.sequence, || {
                    self.send_all(context, &mut messages, entry.sequence)
                });
                if !taken {
                    return;
                }
                handed.push(Handed {
                    stream: entry.stream.clone(),
                    analysis_id: entry.analysis_id,
                    sequence: entry.sequence,
                    connections: 1,
                    at: serving.store.clock().now(),
                });
            }
            replayed.entries += handed.len();
            if !handed.is_empty() {
                serving.store.record_handed(handed);
            }
            if page.entries.len() < PAGE as usize && reader.go_live(turn, page.state.head) {
                return;
            }
            if context.is_closing() {
                return;
            }
            if page.entries.is_empty() {
                // What was announced cannot be read yet: a database that fell
                // back behind it must not be asked without a pause.
                tokio::time::sleep(BETWEEN_READINGS).await;
            }
        }
    }

    /// A connection that cannot be told what it missed must not go on as if
    /// it had missed nothing.
    fn give_up(&self, context: &Context, error: &StoreError) {
        tracing::warn!(%error, "the log cannot be read; a client is told to reconnect");
        context.close(
            Some("The notification log cannot be read now.".to_owned()),
            true,
        );
    }

    // Sending

    fn arguments(&self, entry: &LoggedEntry) -> (RawJson,) {
        let now = self
            .serving()
            .map_or(entry.created_at, |serving| serving.store.clock().now());
        (payload::rendered(entry, &self.shared.links, now),)
    }

    /// One message for each name that the event goes by.
    fn messages<'a, A: signalr::protocol::Arguments>(
        &self,
        event: &'a str,
        arguments: &'a A,
    ) -> Vec<Message<'a, A>> {
        let names = payload::event_names(event, self.shared.settings.event_names);
        names
            .into_iter()
            .map(|name| Message::new(name, arguments))
            .collect()
    }

    /// The last message carries the receipt: what was before it came before it.
    fn tags(&self, count: usize, sequence: i64) -> impl Iterator<Item = u64> + use<> {
        let tag = u64::try_from(sequence).unwrap_or(0);
        (0..count).map(move |at| if at + 1 == count { tag } else { 0 })
    }

    fn send_all<A: signalr::protocol::Arguments>(
        &self,
        context: &Context,
        messages: &mut [Message<'_, A>],
        sequence: i64,
    ) -> bool {
        let tags = self.tags(messages.len(), sequence);
        messages
            .iter_mut()
            .zip(tags)
            .all(|(message, tag)| written(context.send(message, tag)))
    }

    // The hub as a whole

    /// How many connections are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.serving()
            .map_or(0, |serving| serving.hub.connection_count())
    }

    /// What the backplane of the clients' hub has done, where there is one.
    #[must_use]
    pub fn backplane_stats(&self) -> Option<BackplaneStats> {
        self.serving()?.hub.backplane_stats()
    }

    /// Tells all clients to come back later, spread over `spread`; done when
    /// they are gone. Called once, when the hub leaves.
    pub async fn drain(&self, spread: Duration) {
        if let Some(serving) = self.serving() {
            serving.hub.drain(spread).await;
        }
    }
}

/// The push as a part of the trace in which the entry was posted. It ends when
/// the entry is queued for each of the user's connections here.
fn pushing(entry: &LoggedEntry) -> Option<EnteredSpan> {
    let parent = entry.trace?;
    let span = tracing::info_span!(
        "push",
        otel.kind = "producer",
        event = &*entry.event,
        user = entry.stream.user().map(tracing::field::display),
        analysis = entry.analysis_id,
        sequence = entry.sequence,
    );
    trace::adopt(&span, Some(parent));
    Some(span.entered())
}

/// One client's catch-up, counted when it ends, in whatever way.
struct Replayed<'a> {
    figures: &'a NotificationFigures,
    entries: usize,
}

impl<'a> Replayed<'a> {
    fn new(figures: &'a NotificationFigures) -> Self {
        Self {
            figures,
            entries: 0,
        }
    }
}

impl Drop for Replayed<'_> {
    fn drop(&mut self) {
        self.figures.replayed(self.entries);
    }
}

/// Whether a message was taken; one that cannot be written is a defect here.
fn written(sent: Result<bool, signalr::protocol::WriteError>) -> bool {
    sent.unwrap_or_else(|error| {
        tracing::error!(%error, "a notification cannot be written");
        true
    })
}
