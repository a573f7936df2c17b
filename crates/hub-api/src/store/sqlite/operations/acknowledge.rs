//! A client saw everything up to a sequence.

use std::sync::Arc;

use crate::store::{
    StoreError, Stream, StreamState,
    sqlite::{queue::Operation, read, receipts::confirm_now, work::Work},
};

/// Raises the mark, never past the head and never back.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Acknowledge {
    pub(in crate::store::sqlite) epoch: Arc<str>,
    pub(in crate::store::sqlite) stream: Stream,
    pub(in crate::store::sqlite) sequence: i64,
}

impl Operation for Acknowledge {
    type Output = StreamState;

    async fn run(&self, work: &mut Work<'_>) -> Result<StreamState, StoreError> {
        confirm_now(work, &self.stream, self.sequence).await?;
        sqlx::query(
            "UPDATE streams SET acknowledged = min(head, ?1)
             WHERE stream = ?2 AND acknowledged < min(head, ?1)",
        )
        .bind(self.sequence)
        .bind(self.stream.as_str())
        .execute(work.tx.conn().await?)
        .await?;
        read::stream_state(work.tx.conn().await?, Arc::clone(&self.epoch), &self.stream).await
    }
}
