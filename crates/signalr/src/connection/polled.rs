//! What long polling knows to have arrived: a poll confirms the answer to the
//! one before, unless it comes so late that the answer may have been lost.

use std::{sync::Arc, time::Duration};

use super::Connection;
use crate::{hub::ReceiptSource, outbox::Queued};

/// A client polls again as soon as it has read an answer. One that was lost it
/// gives up much later: its own time for a poll is over ten seconds longer
/// than the server's (`poll_timeout`, 90 s; 100 s in the official clients).
const PROMPT: Duration = Duration::from_secs(5);

/// The slowest way of an answer to the client that is not taken for its loss.
const BYTES_A_SECOND: usize = 16 * 1024;

/// Beyond them a client is slow and nothing is lost: it must come on.
const MAX_REPEATS: u8 = 3;

/// What a connection knows of its polls.
#[derive(Debug, Default)]
pub(super) struct Polled {
    /// The last answer that asked for a receipt, until the next poll.
    answer: Option<Answer>,
    /// How often in a row one was taken for lost.
    repeats: u8,
}

#[derive(Debug)]
struct Answer {
    /// When it was given.
    at: u64,
    /// How long the client may take to poll again.
    prompt: Duration,
    /// The highest tag in it.
    tag: u64,
    /// What is sent again if it was lost: its events, up to the last that
    /// asked for a receipt. Answers to invocations and items of streams are
    /// sent once, whatever becomes of them.
    events: Vec<Queued>,
}

impl Connection {
    /// A poll is answered with these frames.
    pub(crate) fn answers_poll(&self, frames: &[Queued]) {
        let Some(last) = frames.iter().rposition(|each| each.tag > 0) else {
            return;
        };
        let bytes: usize = frames.iter().map(|each| each.frame.len()).sum();
        let confirmed = &frames[..=last];
        let events = confirmed.iter().filter(|each| each.frame.is_event());
        let events = events.map(|each| Queued {
            frame: each.frame.clone(),
            tag: each.tag,
        });
        self.http().polled.lock().answer = Some(Answer {
            at: self.core.now(),
            prompt: PROMPT + Duration::from_secs((bytes / BYTES_A_SECOND) as u64),
            tag: confirmed.iter().map(|each| each.tag).max().unwrap_or(0),
            events: events.collect(),
        });
    }

    /// The client polls again: what the answer before carried has arrived, or
    /// is sent once more, in front of what is new. A repeat beats a loss.
    pub(crate) fn polls_again(self: &Arc<Self>) {
        let mut polled = self.http().polled.lock();
        let Some(answer) = polled.answer.take() else {
            return;
        };
        let took = Duration::from_millis(self.core.now().saturating_sub(answer.at));
        let arrived = took <= answer.prompt || polled.repeats >= MAX_REPEATS;
        let stateful = self.outbox().is_stateful();
        if arrived {
            polled.repeats = 0;
            drop(polled);
            self.receipt(answer.tag, ReceiptSource::Poll);
        } else if !stateful {
            // A repeat would shift the count of a stateful client's messages,
            // whose Acks say what arrived.
            polled.repeats += 1;
            tracing::debug!(connection.id = %self.id, "a poll comes late: what may be lost is sent again");
            self.outbox().put_back(answer.events);
        }
    }
}
