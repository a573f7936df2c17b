//! A session for tests: consumes, acknowledges, and passes on what it got.

use std::sync::Arc;

use broker::{Broker, Conflict, Link, LinkError, LinkState, Session, acknowledge, keep_up};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::PATIENCE;

struct Consumer {
    queue: String,
    got: mpsc::UnboundedSender<Vec<u8>>,
}

impl Session for Consumer {
    async fn run(&mut self, link: &Link, state: &LinkState) -> Result<(), LinkError> {
        let mut consuming = link.consume(&self.queue, 10).await?;
        state.works();
        loop {
            let delivery = consuming.next().await?;
            if acknowledge(&delivery).await {
                let _ = self.got.send(delivery.data);
            } else {
                state.lost_acknowledgement();
            }
        }
    }
}

/// A consumer of the request queue that is kept up.
pub(crate) struct KeptUp {
    pub(crate) state: Arc<LinkState>,
    pub(crate) task: JoinHandle<Result<(), Conflict>>,
    got: mpsc::UnboundedReceiver<Vec<u8>>,
    stop: CancellationToken,
}

impl KeptUp {
    pub(crate) fn start(broker: Broker) -> Self {
        let state = Arc::new(LinkState::default());
        let stop = CancellationToken::new();
        let (sender, got) = mpsc::unbounded_channel();
        let mut session = Consumer {
            queue: broker.topology().requests.name().to_owned(),
            got: sender,
        };
        let (kept, stopped) = (Arc::clone(&state), stop.clone());
        let task =
            tokio::spawn(
                async move { keep_up(&broker, "test", &kept, &stopped, &mut session).await },
            );
        Self {
            state,
            task,
            got,
            stop,
        }
    }

    /// Waits until the session works, or does not.
    pub(crate) async fn until_working(&self, works: bool) {
        let waited = timeout(PATIENCE, async {
            while self.state.is_working() != works {
                sleep(std::time::Duration::from_millis(10)).await;
            }
        });
        let report = self.state.report();
        waited.await.unwrap_or_else(|_| panic!("{report:?}"));
    }

    pub(crate) async fn next(&mut self) -> Vec<u8> {
        let next = timeout(PATIENCE, self.got.recv()).await;
        next.expect("a message").unwrap()
    }

    pub(crate) async fn stop(self) -> Result<(), Conflict> {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }
}
