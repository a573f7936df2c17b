//! Work that goes on to its end though its client has gone: what writes in two
//! places is not left between them. It knows nothing of what is written.

use std::{future::Future, panic::resume_unwind};

use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::ApiError;

const RETRY_AFTER_SECONDS: u32 = 5;

/// The work under way, which a hub that leaves waits for. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Finishing(TaskTracker);

impl Finishing {
    /// Carries `work` out, whether or not its caller waits for it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        let work = work.instrument(tracing::info_span!("task", name));
        match self.0.spawn(work).await {
            Ok(done) => done,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The process ends.
                Err(_) => Err(ApiError::unavailable(RETRY_AFTER_SECONDS)),
            },
        }
    }

    /// Done when nothing is under way. Work may begin again after it.
    pub(crate) async fn ended(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_when_its_caller_has_gone_and_is_waited_for() {
        let finishing = Finishing::default();
        let (begun, has_begun) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        let work = async move {
            begun.send(()).unwrap();
            may_go_on.await.unwrap();
            done.send(()).unwrap();
            Ok(())
        };
        let caller = tokio::spawn({
            let finishing = finishing.clone();
            async move { finishing.run("test", work).await }
        });
        has_begun.await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        go_on.send(()).unwrap();
        finishing.ended().await;
        is_done.await.unwrap();
        assert!(
            finishing
                .run("later", async { Ok(1) })
                .await
                .is_ok_and(|one| one == 1)
        );
    }
}
