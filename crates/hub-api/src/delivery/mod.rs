//! From the log to open connections, and back: who has what.
//!
//! The log is the truth; this module makes each connection follow it. It owns
//! the state of a connection as a reader of its user's log (`reader`), the
//! reading of what a connection lacks (`unresumed`, `catch_up`), the form in
//! which entries are sent (`payload`, `send`; `unlogged` for what is no entry),
//! and the confirmation of what arrived. What other hubs write is read from the
//! log (`elsewhere`). It never writes an entry, and knows nothing of HTTP.
//!
//! Invariants:
//! - A connection gets the entries of one contiguous range of the log, in
//!   order: what is confirmed on one connection was confirmed by all before it.
//! - The writer's hook never waits: a reader that is behind reads the log itself.

mod payload;
mod send;
mod unlogged;
mod reader;
mod unresumed;
mod catch_up;
mod elsewhere;

pub(crate) use elsewhere::give_way;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use shared_dto::{UserId, notification::Resumed};
use signalr::{BackplaneStats, Context, HubContext, HubServer};
use time::OffsetDateTime;

use self::{
    catch_up::{AtGap, Readings, is_live_at_once},
    elsewhere::Following,
    reader::{Reader, Step},
    unresumed::Unresumed,
};
use crate::{
    config::{Confirm, EventNames},
    links::Links,
    metrics::{NotificationFigures, NotificationOutcome},
    nodes::Nodes,
    store::{Confirmation, LoggedEntry, OnCommitted, ReceiptSource, Store, StoreError, Stream},
};

/// Entries read from the log at a time.
const PAGE: u32 = 100;

/// Connections or streams that are read for at the same time, so that many at
/// once leave the database to others as well.
const READ_AT_ONCE: usize = 8;

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
    /// Connections that read the log for themselves.
    readings: Readings,
    /// Connections whose clients may still call `Resume`.
    unresumed: Unresumed,
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
                readings: Readings::default(),
                unresumed: Unresumed::default(),
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

    /// Hands a new entry to the user's connections here, and gives the number
    /// of those that were sent it; the others find it in the log, and are
    /// counted then. It runs on the store's writer, so it never waits.
    fn publish_here(&self, entry: &LoggedEntry) -> usize {
        let _span = send::pushing(entry);
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
            match step {
                Step::Sent => handed += 1,
                Step::Kept => {}
                Step::CatchUp => self.spawn_catch_up(context.clone(), reader),
            }
        }
        handed
    }

    // What connections tell

    /// A connection opened: it reads the log once it resumed, or did not in time.
    pub fn open(&self, context: &Context, user: &UserId) {
        self.reader(context, &Stream::of_user(user));
        self.shared.unresumed.enter(context.clone());
    }

    /// An entry may be announced to a connection before it is opened here.
    fn reader(&self, context: &Context, stream: &Stream) -> Arc<Reader> {
        context.get_or_insert_with(|| Reader::new(stream.clone(), OffsetDateTime::now_utc()))
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
        let whole = is_live_at_once(&reader, turn, state.head)
            || self.catch_up(context, &reader, turn, AtGap::GoOn).await;
        let complete = complete && whole;
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
