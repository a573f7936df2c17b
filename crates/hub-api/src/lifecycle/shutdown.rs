//! The steps of a shutdown, each a token that stays cancelled.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What parts of the hub wait for to know that it leaves. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    kill: CancellationToken,
}

impl Shutdown {
    /// Nothing has been asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The hub is to leave: readiness fails from now on, everything else is
    /// served as before for a while.
    pub fn begin(&self) {
        self.drain.cancel();
    }

    /// Leave at once: what is under way is dropped.
    pub fn kill(&self) {
        self.drain.cancel();
        self.kill.cancel();
    }

    /// Whether the hub is to leave.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// The token of [`begin`](Self::begin).
    #[must_use]
    pub fn draining(&self) -> &CancellationToken {
        &self.drain
    }

    /// The token of [`kill`](Self::kill).
    #[must_use]
    pub fn killed(&self) -> &CancellationToken {
        &self.kill
    }
}

/// Turns the first SIGTERM or SIGINT into [`Shutdown::begin`] and a second one
/// into [`Shutdown::kill`]. Never ends by itself.
///
/// # Errors
/// When the process may not listen to signals.
pub async fn on_signals(shutdown: Shutdown) -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut asked = false;
    loop {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        if asked {
            tracing::warn!("second signal: leaving at once");
            shutdown.kill();
        } else {
            tracing::info!("signal: draining");
            shutdown.begin();
        }
        asked = true;
    }
}
