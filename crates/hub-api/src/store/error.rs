//! What can go wrong in the store, and whether trying again can help.

use std::sync::Arc;

/// Why a use case was not carried out. Nothing of it was, unless the variant says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The writer's queue stayed full for as long as a caller may wait.
    #[error("the store has more writes waiting than it takes")]
    Overloaded,
    /// No reader became free, or the answer did not come, in the time that a
    /// caller may wait. A write may yet be carried out: repeat it with its
    /// idempotency key.
    #[error("the store did not answer in time")]
    TimedOut,
    /// The store was closed, or its writer ended.
    #[error("the store is closed")]
    Closed,
    /// The store was opened for reading only.
    #[error("the store was opened for reading")]
    ReadOnly,
    /// The database refused, for a reason that may pass (locked, disk full).
    #[error("the database cannot write at the moment")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// The database refused.
    #[error("the database failed")]
    Database(#[source] Arc<sqlx::Error>),
    /// The schema could not be brought up to date.
    #[error("the database could not be migrated")]
    Migration(#[source] Arc<sqlx::migrate::MigrateError>),
    /// What is stored is not what this version writes.
    #[error("the database holds an unreadable {what}")]
    Unreadable {
        /// What could not be read.
        what: &'static str,
    },
}

impl StoreError {
    /// True when the same call may succeed a little later: answer 503 with Retry-After.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Overloaded | Self::TimedOut | Self::Closed | Self::Unavailable(_) => true,
            Self::ReadOnly | Self::Database(_) | Self::Migration(_) | Self::Unreadable { .. } => {
                false
            }
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => Self::TimedOut,
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Closed,
            sqlx::Error::Io(_) => Self::Unavailable(Arc::new(error)),
            sqlx::Error::Database(database)
                if database
                    .code()
                    .is_some_and(|code| is_passing_sqlite_code(&code)) =>
            {
                Self::Unavailable(Arc::new(error))
            }
            _ => Self::Database(Arc::new(error)),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migration(Arc::new(error))
    }
}

/// SQLite's extended result codes carry the primary code in their low byte
/// (<https://www.sqlite.org/rescode.html>).
fn is_passing_sqlite_code(code: &str) -> bool {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const NOMEM: i32 = 7;
    const READONLY: i32 = 8;
    const IOERR: i32 = 10;
    const FULL: i32 = 13;
    const CANTOPEN: i32 = 14;
    code.parse::<i32>().is_ok_and(|code| {
        matches!(
            code & 0xff,
            BUSY | LOCKED | NOMEM | READONLY | IOERR | FULL | CANTOPEN
        )
    })
}
