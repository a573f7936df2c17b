//! A client saw everything up to a sequence.

use std::sync::Arc;

use crate::store::{
    StoreError, Stream, StreamState,
    database::{Sql, run},
    read,
    writer::{Locks, Operation, Work, confirm_now},
};

const RAISE: Sql = Sql::same(
    "UPDATE streams SET acknowledged = CASE WHEN head < $1 THEN head ELSE $1 END
     WHERE stream = $2 AND acknowledged < head AND acknowledged < $1",
);

/// Raises the mark, never past the head and never back.
#[derive(Debug)]
pub(in crate::store) struct Acknowledge {
    pub(in crate::store) epoch: Arc<str>,
    pub(in crate::store) stream: Stream,
    pub(in crate::store) sequence: i64,
}

impl Operation for Acknowledge {
    type Output = StreamState;

    fn locks(&self) -> Locks<'_> {
        Locks::Stream(self.stream.as_str())
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<StreamState, StoreError> {
        confirm_now(work, &self.stream, self.sequence).await?;
        run!(
            work.tx.conn().await?,
            RAISE,
            [self.sequence, self.stream.as_str()],
            execute
        )?;
        let epoch = Arc::clone(&self.epoch);
        let mut state = read::stream_state(work.tx.conn().await?, epoch, &self.stream).await?;
        // An entry of the same transaction is one that the caller will have.
        let taken = work.head_with_taken(&self.stream);
        state.head = state.head.max(taken.unwrap_or(0));
        Ok(state)
    }
}
