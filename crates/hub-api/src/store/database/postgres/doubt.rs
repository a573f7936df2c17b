//! A commit whose answer was lost: was it carried out?
//!
//! A server that crashed may give a lost transaction's id, and its
//! notification ids, to another one. So the transaction's state only tells
//! whether to wait, and the log itself whether the entries are in it.

use std::collections::HashMap;

use sqlx::{PgConnection, postgres::PgDatabaseError};

use crate::store::{LoggedEntry, StoreError};

const STATE: &str = "SELECT pg_xact_status($1::text::xid8)";

/// The id was never given, or its giving was lost in a crash
/// (`invalid_parameter_value`).
const NO_SUCH_TRANSACTION: &str = "22023";

const LOGGED: &str = "SELECT id, stream, sequence, created_at, payload FROM log WHERE id = ANY($1)";

/// What is known of the transaction under way, should its connection be lost.
#[derive(Debug, Default)]
pub(in crate::store::database) struct Doubt {
    transaction: String,
    /// The entries of a commit that was sent and not answered.
    pending: Option<Vec<LoggedEntry>>,
}

impl Doubt {
    /// A transaction has begun, of this id.
    pub(super) fn begun(&mut self, transaction: String) {
        self.transaction = transaction;
        self.pending = None;
    }

    /// Its commit is about to be sent.
    pub(in crate::store::database) fn committing(&mut self, entries: &[LoggedEntry]) {
        self.pending = Some(entries.to_vec());
    }

    /// Its commit was answered.
    pub(in crate::store::database) fn committed(&mut self) {
        self.pending = None;
    }

    /// True between the two.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether there is anything to find out.
    pub(super) fn has_entries(&self) -> bool {
        self.pending
            .as_ref()
            .is_some_and(|entries| !entries.is_empty())
    }

    /// Those of its entries that are in the log; nothing while the
    /// transaction is still in progress.
    pub(super) async fn ask(
        &self,
        conn: &mut PgConnection,
    ) -> Result<Option<Vec<LoggedEntry>>, StoreError> {
        let state = sqlx::query_scalar::<_, Option<String>>(STATE)
            .bind(&self.transaction)
            .fetch_one(&mut *conn)
            .await;
        match state {
            Ok(Some(state)) if state == "in progress" => return Ok(None),
            Ok(_) => {}
            Err(error) if is_no_such_transaction(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let pending = self.pending.as_deref().unwrap_or_default();
        let ids: Vec<i64> = pending.iter().map(|entry| entry.notification_id).collect();
        let logged: Vec<(i64, String, i64, i64, String)> =
            sqlx::query_as(LOGGED).bind(ids).fetch_all(conn).await?;
        let logged: HashMap<i64, (String, i64, i64, String)> = logged
            .into_iter()
            .map(|(id, stream, sequence, at, payload)| (id, (stream, sequence, at, payload)))
            .collect();
        let is_logged = |entry: &&LoggedEntry| {
            logged
                .get(&entry.notification_id)
                .is_some_and(|(stream, sequence, at, payload)| {
                    *stream == entry.stream.as_str()
                        && *sequence == entry.sequence
                        && *at == entry.created_at.0
                        && *payload == *entry.payload
                })
        };
        Ok(Some(pending.iter().filter(is_logged).cloned().collect()))
    }

    /// The doubt is over.
    pub(super) fn over(&mut self) {
        self.pending = None;
    }
}

fn is_no_such_transaction(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .is_some_and(|error| error.code() == NO_SUCH_TRANSACTION)
}
