//! What other hubs write, and what they ask of this one.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;
use shared_dto::{UserId, connection::ConnectionInfo};
use signalr::Context;
use tokio::sync::Semaphore;

use super::{
    Delivery, PAGE, READ_AT_ONCE,
    reader::{Heard, Reader},
};
use crate::{
    nodes::{Nodes, Span},
    store::{Handed, StoreError, Stream},
};

/// Nothing came from a connection for this long: it may give way to another.
const SILENT: std::time::Duration = std::time::Duration::from_secs(30);

/// Streams of which entries are being handed out, each by one task; true
/// where more was heard of meanwhile.
#[derive(Debug)]
pub(super) struct Following {
    streams: Mutex<HashMap<Stream, bool>>,
    reading: Semaphore,
}

impl Default for Following {
    fn default() -> Self {
        Self {
            streams: Mutex::default(),
            reading: Semaphore::new(READ_AT_ONCE),
        }
    }
}

impl Delivery {
    /// This hub among the others.
    #[must_use]
    pub fn nodes(&self) -> &Nodes {
        &self.shared.nodes
    }

    /// The epoch of the log that is served here, once it is.
    #[must_use]
    pub fn epoch(&self) -> Option<String> {
        Some(self.serving()?.store.epoch().to_owned())
    }

    // The log

    /// Streams have entries, from the first to the last, that another hub
    /// wrote: whoever follows them here is handed them. It does not wait.
    pub fn look(&self, streams: impl IntoIterator<Item = (Stream, Span)>) {
        for (stream, (first, last)) in streams {
            let mut follow = false;
            for (context, reader) in self.readers(&stream) {
                match reader.hear(first, last) {
                    Heard::Nothing => {}
                    Heard::Follow => follow = true,
                    Heard::CatchUp => self.spawn_catch_up(context, reader),
                }
            }
            if follow && self.shared.following.begin(&stream) {
                let delivery = self.clone();
                tokio::spawn(async move { delivery.follow(stream).await });
            }
        }
    }

    /// The streams that somebody follows here, with the entry up to which
    /// everybody has them.
    #[must_use]
    pub fn streams_here(&self) -> Vec<(Stream, i64)> {
        let users: HashSet<String> = self.users_here().map(|(user, _)| user).collect();
        let streams = users.into_iter().filter_map(|user| {
            let stream = Stream::of_user(&UserId::new(&user).ok()?);
            let readers = self.readers(&stream);
            let positions = readers
                .iter()
                .filter_map(|(_, reader)| reader.live_position());
            Some((stream, positions.min()?))
        });
        streams.collect()
    }

    /// Hands out what a stream has, until nothing more was heard of.
    async fn follow(&self, stream: Stream) {
        let following = &self.shared.following;
        loop {
            let Ok(_permit) = following.reading.acquire().await else {
                return;
            };
            if let Err(error) = self.hand_out(&stream).await {
                // The sweep comes back to it.
                tracing::warn!(%error, "the log cannot be read for news of another hub");
            }
            if following.is_done(&stream) {
                return;
            }
        }
    }

    async fn hand_out(&self, stream: &Stream) -> Result<(), StoreError> {
        let Some(serving) = self.serving() else {
            return Ok(());
        };
        let readers = self.readers(stream);
        let positions = readers
            .iter()
            .filter_map(|(_, reader)| reader.live_position());
        let Some(mut after) = positions.min() else {
            return Ok(());
        };
        loop {
            let page = serving.store.entries(stream, after, PAGE).await?;
            let mut handed = Vec::new();
            for entry in &page.entries {
                let connections = self.publish_here(entry);
                // What this hub wrote itself is in the page as well.
                if connections > 0 {
                    handed.push(Handed {
                        stream: stream.clone(),
                        analysis_id: entry.analysis_id,
                        sequence: entry.sequence,
                        connections,
                        at: serving.store.clock().now(),
                    });
                }
                after = entry.sequence;
            }
            if !handed.is_empty() {
                serving.store.record_handed(handed);
            }
            if page.entries.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    /// Who reads a stream here.
    fn readers(&self, stream: &Stream) -> Vec<(Context, Arc<Reader>)> {
        let Some((serving, user)) = self.serving().zip(stream.user()) else {
            return Vec::new();
        };
        let contexts = serving.context.connections_of(user.as_str()).into_iter();
        let open = contexts.filter(|context| !context.is_closing());
        open.filter_map(|context| Some((context.clone(), context.get::<Reader>()?)))
            .collect()
    }

    // Connections

    fn users_here(&self) -> impl Iterator<Item = (String, String)> {
        let hub = self.serving().map(|serving| serving.hub.connections());
        hub.into_iter()
            .flatten()
            .filter_map(|each| Some((each.user_id?, each.connection_id.to_string())))
    }

    /// Every connection of this node, with its user.
    #[must_use]
    pub fn all_connections_here(&self) -> Vec<(UserId, String)> {
        let users = self.users_here();
        users
            .filter_map(|(user, id)| Some((UserId::new(&user).ok()?, id)))
            .collect()
    }

    /// The open connections of `user` on all nodes, the oldest first.
    pub async fn connections_of(&self, user: &UserId) -> Vec<ConnectionInfo> {
        let mut connections = self.connections_here(user);
        connections.extend(self.nodes().connections_elsewhere(user).await);
        connections.sort_by_key(|each| each.connected_at);
        connections
    }

    /// Closes the connections of `user` on all nodes, and returns their number.
    pub async fn close_connections_of(&self, user: &UserId) -> usize {
        self.close_connections_here(user) + self.nodes().close_connections_elsewhere(user).await
    }

    /// The open connections of `user` on this node, the oldest first.
    #[must_use]
    pub fn connections_here(&self, user: &UserId) -> Vec<ConnectionInfo> {
        let Some(serving) = self.serving() else {
            return Vec::new();
        };
        let contexts = serving.context.connections_of(user.as_str());
        let infos = contexts.iter().filter_map(|context| {
            Some(ConnectionInfo {
                connection_id: context.connection_id().to_string(),
                hub: serving.path.to_owned(),
                transport: context.transport().name().to_owned(),
                connected_at: context.get::<Reader>()?.connected_at(),
            })
        });
        infos.collect()
    }

    /// Closes the connections of `user` on this node, and returns their number.
    #[must_use]
    pub fn close_connections_here(&self, user: &UserId) -> usize {
        let contexts = self.contexts_of(user);
        for context in &contexts {
            context.close(
                Some("The connection was closed by an operator.".to_owned()),
                false,
            );
        }
        contexts.len()
    }

    /// Which of the user's connections `ids` are not here, or gave way since
    /// they were silent and so many are wanted.
    #[must_use]
    pub fn make_room_here(&self, user: &UserId, ids: Vec<String>, wanted: usize) -> Vec<String> {
        let mut open = self.contexts_of(user);
        open.retain(|context| !context.is_closing());
        let is_open = |id: &String| {
            let mut all = open.iter();
            all.any(|context| context.connection_id().as_str() == id.as_str())
        };
        let (present, mut gone): (Vec<String>, Vec<String>) = ids.into_iter().partition(is_open);
        let named = |context: &Context| {
            let id = context.connection_id();
            present.iter().any(|each| each.as_str() == id.as_str())
        };
        open.retain(named);
        let evicted = give_way(&open, wanted.saturating_sub(gone.len()));
        gone.extend(evicted.iter().map(ToString::to_string));
        gone
    }

    fn contexts_of(&self, user: &UserId) -> Vec<Context> {
        self.serving().map_or_else(Vec::new, |serving| {
            serving.context.connections_of(user.as_str())
        })
    }
}

/// Closes silent ones of `connections`, as many as are wanted.
pub(crate) fn give_way(connections: &[Context], wanted: usize) -> Vec<signalr::ConnectionId> {
    let silent = connections.iter().filter(|each| each.silent_for() > SILENT);
    let closed = silent.take(wanted).map(|each| {
        let text = "Another device took this connection's place.";
        each.close(Some(text.to_owned()), false);
        each.connection_id()
    });
    closed.collect()
}

impl Following {
    /// Whether a task is to be started; one that runs looks again instead.
    fn begin(&self, stream: &Stream) -> bool {
        let mut streams = self.streams.lock();
        match streams.get_mut(stream) {
            Some(again) => {
                *again = true;
                false
            }
            None => streams.insert(stream.clone(), false).is_none(),
        }
    }

    /// Whether the stream's task may end.
    fn is_done(&self, stream: &Stream) -> bool {
        let mut streams = self.streams.lock();
        match streams.get_mut(stream) {
            Some(again) if *again => {
                *again = false;
                false
            }
            _ => {
                streams.remove(stream);
                true
            }
        }
    }
}
