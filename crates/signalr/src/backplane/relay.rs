//! What this node sends to the others: queued, in order, each within a bounded
//! time. Nothing here is waited for by a method that sends.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::{
    BackplaneError, BackplaneNode, Channel, GroupChange, RemoteCompletion, RemoteInvocation,
    Subscriptions, WantedResult,
    carrier::{SharedCarrier, within},
    subscriptions,
};
use crate::{ConnectionId, HubOptions, protocol::HubProtocol, server::Core};

/// Messages, and bytes of them, that may wait for the backplane.
const MAX_WAITING: usize = 16 * 1024;
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Asked of the backplane at the same time.
const MAX_IN_FLIGHT: usize = 256;

/// The longest that a client's connect or join waits for its subscriptions:
/// they stand in milliseconds, unless the backplane does not answer, and then
/// the client is better served without it.
const SETTLED: Duration = Duration::from_secs(2);

/// A hub's figures of its backplane, since the hub started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackplaneStats {
    /// Messages that the backplane took; one to several users or groups counts
    /// for each.
    pub sent: u64,
    /// Messages that it did not take, or not in time.
    pub failed: u64,
    /// Messages that were not given to it, since too many waited; one to
    /// several users or groups counts once.
    pub dropped: u64,
    /// Messages that wait for it now, counted in the same way.
    pub waiting: usize,
    /// Messages of other nodes that were handed to clients here.
    pub received: u64,
    /// Attempts to subscribe that failed; they are repeated.
    pub failed_subscriptions: u64,
    /// Whether the last message or subscription failed.
    pub failing: bool,
}

/// The hub's end of its backplane.
pub(crate) struct Relay {
    /// This node's name among the others.
    pub(crate) name: Arc<str>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    queue: mpsc::Sender<Outgoing>,
    carrier: SharedCarrier,
    figures: Arc<Figures>,
    timeout: Duration,
    group_timeout: Duration,
}

#[derive(Debug, Default)]
struct Figures {
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    received: AtomicU64,
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    failing: AtomicBool,
}

/// A message as it was sent. To however many channels it goes, it is one in
/// the queue, so that sending to many users fills nothing.
struct Outgoing {
    what: What,
    held: Held,
}

enum What {
    Invocation {
        channels: Vec<Channel>,
        invocation: RemoteInvocation,
        /// Who waits to know what came of it.
        told: Option<oneshot::Sender<Result<Option<usize>, BackplaneError>>>,
    },
    Completion {
        return_to: Arc<str>,
        completion: RemoteCompletion,
    },
}

/// A message's place among those that wait, given up when all of it is handed
/// out.
struct Held {
    figures: Arc<Figures>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        let figures = &self.figures;
        figures
            .waiting_bytes
            .fetch_sub(self.bytes, Ordering::AcqRel);
        figures.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Relay {
    /// Prepares everything; [`start`](Self::start) has it run.
    pub(crate) fn new(
        carrier: SharedCarrier,
        subscriptions: Arc<Subscriptions>,
        options: &HubOptions,
        runtime: &Handle,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let figures = Arc::new(Figures::default());
        let timeout = options.backplane_timeout;
        runtime.spawn(run(
            waiting,
            Arc::clone(&carrier),
            Arc::clone(&figures),
            timeout,
        ));
        Self {
            name: node_name(),
            subscriptions,
            queue,
            carrier,
            figures,
            timeout,
            group_timeout: options.remote_group_timeout,
        }
    }

    /// The hub is complete.
    pub(crate) fn start(&self, core: &Arc<Core>, runtime: &Handle) {
        runtime.spawn(subscriptions::run(
            Arc::clone(&self.subscriptions),
            Arc::clone(&self.carrier),
            Arc::downgrade(core),
            self.timeout,
        ));
        self.carrier
            .start(BackplaneNode::new(core, Arc::clone(&self.name)));
    }

    /// Sends an invocation to the other nodes, to the channels in turn.
    pub(crate) fn publish(
        &self,
        channels: Vec<Channel>,
        excluded: Vec<ConnectionId>,
        frames: Vec<(HubProtocol, Bytes)>,
    ) {
        let bytes = size_of_all(&frames) + size_of_val(&*channels) + size_of_val(&*excluded);
        let invocation = RemoteInvocation {
            origin: Some(Arc::clone(&self.name)),
            excluded,
            frames,
            result: None,
        };
        let what = What::Invocation {
            channels,
            invocation,
            told: None,
        };
        // Counted and logged there.
        let _ = self.enqueue(what, bytes);
    }

    /// Sends an invocation that a client of another node is to answer; gives
    /// how many nodes have that client, where that is known.
    pub(crate) async fn ask(
        &self,
        id: ConnectionId,
        invocation_id: &str,
        frames: Vec<(HubProtocol, Bytes)>,
    ) -> Result<Option<usize>, BackplaneError> {
        let bytes = size_of_all(&frames);
        let (told, outcome) = oneshot::channel();
        let what = What::Invocation {
            channels: vec![Channel::Connection(id)],
            invocation: RemoteInvocation {
                origin: Some(Arc::clone(&self.name)),
                excluded: Vec::new(),
                frames,
                result: Some(WantedResult {
                    invocation_id: invocation_id.into(),
                    return_to: Arc::clone(&self.name),
                }),
            },
            told: Some(told),
        };
        self.enqueue(what, bytes)?;
        outcome.await.unwrap_or(Err(BackplaneError::TimedOut))
    }

    /// Sends a client's answer to the node that asked.
    pub(crate) fn complete(&self, return_to: Arc<str>, protocol: HubProtocol, frame: Bytes) {
        let bytes = frame.len();
        let completion = RemoteCompletion { protocol, frame };
        let what = What::Completion {
            return_to,
            completion,
        };
        // Counted and logged there.
        let _ = self.enqueue(what, bytes);
    }

    /// Asks the node that has the connection to change a group. What comes of
    /// it says nothing of the backplane: where no node has the connection, it
    /// fails as well.
    pub(crate) async fn change_group(
        &self,
        change: GroupChange,
        group: &str,
        id: ConnectionId,
    ) -> Result<(), BackplaneError> {
        let ask = async || self.carrier.change_group(change, group, id).await;
        within(self.group_timeout, ask).await
    }

    /// Waits, a bounded time, until what other nodes send to the clients and
    /// groups of this node arrives here.
    pub(crate) async fn settled(&self) {
        let limit = self.timeout.min(SETTLED);
        self.subscriptions.settled(limit).await;
    }

    pub(crate) fn received(&self) {
        self.figures.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.figures.waiting.load(Ordering::Acquire) == 0
    }

    pub(crate) fn stats(&self) -> BackplaneStats {
        let figures = &self.figures;
        BackplaneStats {
            sent: figures.sent.load(Ordering::Relaxed),
            failed: figures.failed.load(Ordering::Relaxed),
            dropped: figures.dropped.load(Ordering::Relaxed),
            waiting: figures.waiting.load(Ordering::Relaxed),
            received: figures.received.load(Ordering::Relaxed),
            failed_subscriptions: self.subscriptions.failures(),
            failing: figures.failing.load(Ordering::Relaxed) || self.subscriptions.is_failing(),
        }
    }

    fn enqueue(&self, what: What, bytes: usize) -> Result<(), BackplaneError> {
        let figures = &self.figures;
        let waiting = figures.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        figures.waiting.fetch_add(1, Ordering::AcqRel);
        let held = Held {
            figures: Arc::clone(figures),
            bytes,
        };
        let outgoing = Outgoing { what, held };
        if waiting <= MAX_WAITING_BYTES && self.queue.try_send(outgoing).is_ok() {
            return Ok(());
        }
        let dropped = figures.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        // The first, and then now and then: there may be thousands a second.
        if dropped.is_power_of_two() {
            tracing::warn!(dropped, "messages for other nodes are dropped");
        }
        Err(BackplaneError::Overloaded)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.subscriptions.close();
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("name", &self.name)
            .field("figures", &self.figures)
            .finish_non_exhaustive()
    }
}

impl Figures {
    fn note<T>(&self, outcome: &Result<T, BackplaneError>) {
        match outcome {
            Ok(_) => {
                self.sent.fetch_add(1, Ordering::Relaxed);
                if self.failing.swap(false, Ordering::AcqRel) {
                    tracing::info!("the backplane works again");
                }
            }
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                if !self.failing.swap(true, Ordering::AcqRel) {
                    tracing::warn!(%error, "the backplane does not take messages; local clients get theirs");
                }
            }
        }
    }
}

/// Hands out what waits, until the hub is gone and all is handed out.
async fn run(
    mut queue: mpsc::Receiver<Outgoing>,
    carrier: SharedCarrier,
    figures: Arc<Figures>,
    limit: Duration,
) {
    // A new future is polled first in the order of entering.
    let mut in_flight = FuturesUnordered::new();
    // What is left of the message that was taken last.
    let mut parts = Vec::new().into_iter();
    let mut open = true;
    while open || !in_flight.is_empty() {
        while in_flight.len() < MAX_IN_FLIGHT
            && let Some(part) = parts.next()
        {
            // Under Tokio's budget a long burst would stop in the middle and
            // wake from behind: messages would leave in another order.
            let handed_out = hand_out(part, &carrier, &figures, limit);
            in_flight.push(tokio::task::unconstrained(handed_out));
        }
        tokio::select! {
            next = queue.recv(), if open && parts.len() == 0 && in_flight.len() < MAX_IN_FLIGHT => {
                match next {
                    Some(outgoing) => parts = split(outgoing),
                    None => open = false,
                }
            }
            Some(()) = in_flight.next() => {}
        }
    }
}

/// A message for one channel: what the backplane is asked for once.
struct Part {
    ask: Ask,
    held: Arc<Held>,
}

enum Ask {
    Publish {
        channel: Channel,
        invocation: Arc<RemoteInvocation>,
        told: Option<oneshot::Sender<Result<Option<usize>, BackplaneError>>>,
    },
    Complete {
        return_to: Arc<str>,
        completion: RemoteCompletion,
    },
}

fn split(Outgoing { what, held }: Outgoing) -> std::vec::IntoIter<Part> {
    let held = Arc::new(held);
    let asks = match what {
        What::Invocation {
            channels,
            invocation,
            mut told,
        } => {
            let invocation = Arc::new(invocation);
            let asks = channels.into_iter().map(|channel| Ask::Publish {
                channel,
                invocation: Arc::clone(&invocation),
                told: told.take(),
            });
            asks.collect()
        }
        What::Completion {
            return_to,
            completion,
        } => vec![Ask::Complete {
            return_to,
            completion,
        }],
    };
    let parts = asks.into_iter().map(|ask| Part {
        ask,
        held: Arc::clone(&held),
    });
    parts.collect::<Vec<_>>().into_iter()
}

async fn hand_out(
    Part { ask, held }: Part,
    carrier: &SharedCarrier,
    figures: &Figures,
    limit: Duration,
) {
    match ask {
        Ask::Publish {
            channel,
            invocation,
            told,
        } => {
            let outcome =
                within(limit, async || carrier.publish(&channel, &invocation).await).await;
            figures.note(&outcome);
            if let Some(told) = told {
                // Whoever asked may no longer wait.
                let _ = told.send(outcome);
            }
        }
        Ask::Complete {
            return_to,
            completion,
        } => {
            let outcome = within(limit, async || {
                carrier.complete(&return_to, &completion).await
            })
            .await;
            figures.note(&outcome);
        }
    }
    drop(held);
}

fn size_of_all(frames: &[(HubProtocol, Bytes)]) -> usize {
    frames.iter().map(|(_, frame)| frame.len()).sum()
}

/// 32 hexadecimal digits: no two nodes have the same.
fn node_name() -> Arc<str> {
    let bytes: [u8; 16] = crate::connection_token::random();
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<String>().into()
}
