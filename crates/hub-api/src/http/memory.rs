//! The memory that all uploads may take together. An upload takes as much as
//! it has sent, so that many slow ones hold little.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::problem::ApiError;

/// One permit stands for this many bytes.
const PIECE: usize = 64 * 1024;

/// How long an upload waits for others to end before it is asked to come again.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY_AFTER_SECONDS: u32 = 5;

/// Memory for uploads. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pieces: Arc<Semaphore>,
    patience: Duration,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        let pieces = bytes.div_ceil(PIECE).min(Semaphore::MAX_PERMITS);
        Self {
            pieces: Arc::new(Semaphore::new(pieces)),
            patience: PATIENCE,
        }
    }

    /// Nothing is taken yet.
    pub(crate) fn share(&self) -> Share {
        Share {
            memory: self.clone(),
            taken: None,
            bytes: 0,
        }
    }
}

/// What one upload has taken; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Memory,
    taken: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Share {
    /// Takes `bytes` more.
    pub(crate) async fn take(&mut self, bytes: usize) -> Result<(), ApiError> {
        let held = self
            .taken
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        self.bytes += bytes;
        let missing = self.bytes.div_ceil(PIECE).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.memory.pieces).acquire_many_owned(missing);
        let more = timeout(self.memory.patience, more).await;
        let Ok(Ok(more)) = more else {
            return Err(ApiError::unavailable(RETRY_AFTER_SECONDS));
        };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_taken_is_bounded_and_given_back() {
        let memory = Memory {
            patience: Duration::from_millis(5),
            ..Memory::new(4 * PIECE)
        };
        let mut first = memory.share();
        first.take(3 * PIECE - 1).await.unwrap();
        first.take(1).await.unwrap();
        let mut second = memory.share();
        second.take(1).await.unwrap();
        assert_eq!(second.take(PIECE).await.unwrap_err().status(), 503);
        drop(first);
        let mut third = memory.share();
        third.take(3 * PIECE).await.unwrap();
    }
}
