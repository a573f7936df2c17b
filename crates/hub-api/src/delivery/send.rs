//! Sending an entry to one connection: its arguments, its messages, the
//! receipt that the last of them asks for, and its trace.

use signalr::{Context, Message, protocol::RawJson};
use telemetry::trace;
use tracing::span::EnteredSpan;

use super::{Delivery, payload};
use crate::store::LoggedEntry;

impl Delivery {
    pub(super) fn arguments(&self, entry: &LoggedEntry) -> (RawJson,) {
        let now = self
            .serving()
            .map_or(entry.created_at, |serving| serving.store.clock().now());
        (payload::rendered(entry, &self.shared.links, now),)
    }

    /// One message for each name that the event goes by.
    pub(super) fn messages<'a, A: signalr::protocol::Arguments>(
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

    /// Whether all of an entry's messages were taken.
    pub(super) fn send_all<A: signalr::protocol::Arguments>(
        &self,
        context: &Context,
        messages: &mut [Message<'_, A>],
        sequence: i64,
    ) -> bool {
        let tags = tags(messages.len(), sequence);
        messages
            .iter_mut()
            .zip(tags)
            .all(|(message, tag)| written(context.send(message, tag)))
    }
}

/// The last message carries the receipt: what was before it came before it.
fn tags(count: usize, sequence: i64) -> impl Iterator<Item = u64> {
    let tag = u64::try_from(sequence).unwrap_or(0);
    (0..count).map(move |at| if at + 1 == count { tag } else { 0 })
}

/// Whether a message was taken; one that cannot be written is a defect here.
fn written(sent: Result<bool, signalr::protocol::WriteError>) -> bool {
    sent.unwrap_or_else(|error| {
        tracing::error!(%error, "a notification cannot be written");
        true
    })
}

/// The push as a part of the trace in which the entry was posted. It ends when
/// the entry is queued for each of the user's connections here.
pub(super) fn pushing(entry: &LoggedEntry) -> Option<EnteredSpan> {
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
