//! The log begins anew in the eyes of its clients.

use std::sync::Arc;

use crate::store::{
    StoreError,
    database::{Sql, run},
    decode::random_hex,
    writer::{Locks, Operation, Work},
};

const RENEW: Sql = Sql::same("UPDATE store SET epoch = $1");

/// Gives the database another epoch.
#[derive(Debug)]
pub(in crate::store) struct RenewEpoch;

impl Operation for RenewEpoch {
    type Output = Arc<str>;

    fn locks(&self) -> Locks<'_> {
        Locks::Many
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<Arc<str>, StoreError> {
        let epoch: Arc<str> = random_hex()[..16].into();
        run!(work.tx.conn().await?, RENEW, [&*epoch], execute)?;
        Ok(epoch)
    }
}
