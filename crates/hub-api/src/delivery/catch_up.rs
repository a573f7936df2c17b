//! A connection reads for itself what it lacks of the log, at its client's pace.
//!
//! Live entries are held behind it meanwhile, so that it loses nothing by
//! waiting: while the log cannot be read it waits for it, as a client that was
//! sent away would only come back at once. Few connections read at a time.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use signalr::Context;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::sleep,
};

use super::{Delivery, PAGE, READ_AT_ONCE, Serving, reader::Reader};
use crate::{
    metrics::NotificationFigures,
    store::{Handed, Page, StoreError},
};

/// Between two readings of a log that has not yet what was announced.
const BETWEEN_READINGS: Duration = Duration::from_millis(50);

/// After a first reading that failed; it doubles.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
const MOST_DOUBLINGS: u32 = 5;

/// Who waits for its turn to read looks this often whether its client is still there.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// Those that read the log for themselves.
#[derive(Debug)]
pub(super) struct Readings {
    places: Semaphore,
    /// The last reading failed: told once, and not for each connection.
    failing: AtomicBool,
}

impl Default for Readings {
    fn default() -> Self {
        Self {
            places: Semaphore::new(READ_AT_ONCE),
            failing: AtomicBool::new(false),
        }
    }
}

/// What is done where entries that the connection lacks are no longer kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtGap {
    /// Go on behind them: the client has not been told that it has everything.
    GoOn,
    /// It was told, or may think so: it is to come back, and is told otherwise.
    Close,
}

impl Delivery {
    /// The client did not say where it stands: it gets what nobody confirmed.
    pub(super) async fn begin_unresumed(&self, context: &Context) {
        let Some((serving, reader)) = self.serving().zip(context.get::<Reader>()) else {
            return;
        };
        // Needs no place: the store asks once for all who come together.
        let look = || async { Some(serving.store.stream_state(reader.stream()).await) };
        let state = self.retry(context, || reader.is_waiting(), look).await;
        let Some(state) = state else {
            return;
        };
        let first = state.confirmed.max(state.oldest - 1) + 1;
        if let Some(turn) = reader.begin_if_waiting(first) {
            if is_live_at_once(&reader, turn, state.head) {
                return;
            }
            Box::pin(self.catch_up(context, &reader, turn, AtGap::GoOn)).await;
        }
    }

    /// A live connection fell behind.
    pub(super) fn spawn_catch_up(&self, context: Context, reader: Arc<Reader>) {
        let delivery = self.clone();
        tokio::spawn(async move {
            if let Some(turn) = reader.take_behind() {
                delivery
                    .catch_up(&context, &reader, turn, AtGap::Close)
                    .await;
            }
        });
    }

    /// Sends what the log has and the connection has not, until it is live;
    /// stops when another turn began. False where entries that it lacked are
    /// no longer kept.
    pub(super) async fn catch_up(
        &self,
        context: &Context,
        reader: &Reader,
        turn: u64,
        at_gap: AtGap,
    ) -> bool {
        let mut whole = true;
        let Some(serving) = self.serving() else {
            return whole;
        };
        let mut replayed = Replayed::new(&self.shared.figures);
        while let Some(after) = reader.position(turn) {
            let goes_on = || reader.position(turn).is_some();
            let read = || async {
                let _place = self.shared.readings.place(context).await?;
                if !goes_on() {
                    return None;
                }
                Some(serving.store.entries(reader.stream(), after, PAGE).await)
            };
            let Some(page) = self.retry(context, goes_on, read).await else {
                break;
            };
            // Retention may have overtaken a client that reads slowly.
            if !page.complete_after(after) {
                whole = false;
                reader.skip(turn);
                if at_gap == AtGap::Close {
                    let text = "Notifications that this connection lacks are no longer kept.";
                    context.close(Some(text.to_owned()), true);
                    break;
                }
            }
            let handed = self.hand_page(serving, context, reader, turn, &page).await;
            replayed.entries += handed;
            if handed < page.entries.len() {
                break;
            }
            if page.entries.len() < PAGE as usize && reader.go_live(turn, page.state.head) {
                break;
            }
            if context.is_closing() {
                break;
            }
            if page.entries.is_empty() {
                // What was announced cannot be read yet: a database that fell
                // back behind it must not be asked without a pause.
                sleep(BETWEEN_READINGS).await;
            }
        }
        whole
    }

    /// Gives how many were handed over; where not all were, the turn is over.
    async fn hand_page(
        &self,
        serving: &Serving,
        context: &Context,
        reader: &Reader,
        turn: u64,
        page: &Page,
    ) -> usize {
        let mut handed = Vec::new();
        for entry in &page.entries {
            let arguments = self.arguments(entry);
            let mut messages = self.messages(&entry.event, &arguments);
            context.wait_for_space().await;
            let at = serving.store.clock().now();
            let taken = reader.hand(turn, entry.sequence, || {
                self.send_all(context, &mut messages, entry.sequence)
            });
            if !taken {
                break;
            }
            handed.push(Handed {
                stream: entry.stream.clone(),
                analysis_id: entry.analysis_id,
                sequence: entry.sequence,
                connections: 1,
                at,
            });
        }
        let count = handed.len();
        if count > 0 {
            serving.store.record_handed(handed);
        }
        count
    }

    /// Reads, and again for as long as the error may pass; `None` when the
    /// connection closes, or does not go on.
    async fn retry<T, F>(
        &self,
        context: &Context,
        goes_on: impl Fn() -> bool,
        read: impl Fn() -> F,
    ) -> Option<T>
    where
        F: Future<Output = Option<Result<T, StoreError>>>,
    {
        let readings = &self.shared.readings;
        let mut failures = 0;
        loop {
            if context.is_closing() || !goes_on() {
                return None;
            }
            let error = match read().await? {
                Ok(found) => {
                    readings.succeeded();
                    return Some(found);
                }
                Err(error) => error,
            };
            if !error.is_transient() {
                give_up(context, &error);
                return None;
            }
            readings.failed(&error);
            sleep(pause_after(failures)).await;
            failures += 1;
        }
    }
}

/// Whether nothing up to `head` is missing: most clients are spared a reading,
/// but not those to whom something was announced meanwhile.
pub(super) fn is_live_at_once(reader: &Reader, turn: u64, head: i64) -> bool {
    reader.position(turn) == Some(head) && reader.go_live(turn, head)
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

impl Readings {
    /// A place to read; `None` when the connection closes meanwhile.
    async fn place(&self, context: &Context) -> Option<SemaphorePermit<'_>> {
        let mut place = pin!(self.places.acquire());
        loop {
            tokio::select! {
                place = &mut place => return place.ok(),
                () = sleep(BETWEEN_LOOKS) => if context.is_closing() {
                    return None;
                },
            }
        }
    }

    fn failed(&self, error: &StoreError) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the log cannot be read; connections wait for it");
        }
    }

    fn succeeded(&self) {
        if self.failing.load(Ordering::Relaxed) && self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the log is read again");
        }
    }
}

/// Doubles up to about eight seconds, spread, so that the readers of a
/// database that comes back do not come all at once.
fn pause_after(failures: u32) -> Duration {
    let bound = SHORTEST_PAUSE * 2_u32.pow(failures.min(MOST_DOUBLINGS));
    bound.mul_f64(rand::random_range(0.2..=1.0))
}

/// A connection that cannot be told what it missed must not go on as if
/// it had missed nothing.
fn give_up(context: &Context, error: &StoreError) {
    tracing::warn!(%error, "the log cannot be read; a client is told to reconnect");
    let text = "The notification log cannot be read now.";
    context.close(Some(text.to_owned()), true);
}
