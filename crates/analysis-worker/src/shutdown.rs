//! How the worker is told to leave: first kindly, then for good.
//!
//! Owns the two tokens and nothing else; `main` connects them to signals.

use tokio_util::sync::CancellationToken;

/// The two stages of leaving. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take no more jobs; those under way may end.
    pub soft: CancellationToken,
    /// The grace is over: hand back what is still under way.
    pub hard: CancellationToken,
}

impl Shutdown {
    /// Nobody asked to leave yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
