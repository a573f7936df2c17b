//! What can go wrong in the store, and whether trying again can help.

use std::sync::Arc;

use sqlx::{
    error::{DatabaseError, ErrorKind},
    postgres::{PgDatabaseError, PgSeverity},
};

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
    /// The address is none of a database that the store knows.
    #[error("the address of the database is wrong: {what}")]
    Address {
        /// What is wrong with it; never the address itself.
        what: &'static str,
    },
    /// A text holds U+0000, which PostgreSQL cannot store.
    #[error("a text holds the character U+0000")]
    UnstorableText,
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
            Self::ReadOnly
            | Self::Database(_)
            | Self::Migration(_)
            | Self::Address { .. }
            | Self::UnstorableText
            | Self::Unreadable { .. } => false,
        }
    }

    /// True when the database said no and its session goes on, so that what
    /// was asked was surely not done.
    pub(in crate::store) fn is_refusal(&self) -> bool {
        match self {
            Self::Unreadable { .. } | Self::UnstorableText => true,
            Self::Unavailable(error) | Self::Database(error) => match &**error {
                sqlx::Error::Database(database) => database
                    .try_downcast_ref::<PgDatabaseError>()
                    .is_none_or(|error| is_within_session(error.severity())),
                sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => false,
                _ => true,
            },
            _ => false,
        }
    }

    /// True when another hub's transaction was in the way, or another process
    /// wrote to the file: the same one succeeds when it is tried again.
    pub(in crate::store) fn is_contention(&self) -> bool {
        /// Serialization failure, deadlock
        /// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
        const CODES: [&str; 2] = ["40001", "40P01"];
        // The log refuses an id or a sequence that was taken before.
        let another_won = self.database_error().is_some_and(|error| {
            matches!(
                error.kind(),
                ErrorKind::UniqueViolation | ErrorKind::NotNullViolation
            )
        });
        another_won
            || self
                .postgres_code()
                .is_some_and(|code| CODES.contains(&code))
    }

    /// True when another hub kept what this one waited for: what needs
    /// something else can be written meanwhile.
    pub(in crate::store) fn is_lock_timeout(&self) -> bool {
        self.postgres_code() == Some(LOCK_NOT_AVAILABLE)
    }

    fn postgres_code(&self) -> Option<&str> {
        let error = self
            .database_error()?
            .try_downcast_ref::<PgDatabaseError>()?;
        Some(error.code())
    }

    fn database_error(&self) -> Option<&dyn DatabaseError> {
        match self {
            Self::Unavailable(error) | Self::Database(error) => error.as_database_error(),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => Self::TimedOut,
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Closed,
            // An answer that breaks off is one of a server that went away.
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => Self::Unavailable(Arc::new(error)),
            sqlx::Error::Database(database) => match passes(&**database) {
                Passing::Yes => Self::Unavailable(Arc::new(error)),
                Passing::No => Self::Database(Arc::new(error)),
                Passing::BadText => Self::UnstorableText,
            },
            _ => Self::Database(Arc::new(error)),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migration(Arc::new(error))
    }
}

const LOCK_NOT_AVAILABLE: &str = "55P03";

enum Passing {
    Yes,
    No,
    BadText,
}

fn passes(error: &dyn DatabaseError) -> Passing {
    let yes = match error.try_downcast_ref::<PgDatabaseError>() {
        Some(error) if error.code() == "22021" => return Passing::BadText,
        Some(error) if is_within_session(error.severity()) => {
            is_passing_postgres_code(error.code())
        }
        Some(error) => !is_wrong_setup(error.code()),
        None => error
            .code()
            .is_some_and(|code| is_passing_sqlite_code(&code)),
    };
    if yes { Passing::Yes } else { Passing::No }
}

fn is_within_session(severity: PgSeverity) -> bool {
    !matches!(severity, PgSeverity::Fatal | PgSeverity::Panic)
}

/// Why a session was not begun that another one will not mend: the role, the
/// database, the rights.
fn is_wrong_setup(code: &str) -> bool {
    ["28", "3D", "42"]
        .iter()
        .any(|class| code.starts_with(class))
}

/// By class (<https://www.postgresql.org/docs/current/errcodes-appendix.html>):
/// the connection, contention, resources, the operator, the machine. And a
/// read-only session: after a failover the name still leads to the old server
/// for a moment.
fn is_passing_postgres_code(code: &str) -> bool {
    const READ_ONLY: &str = "25006";
    ["08", "40", "53", "57", "58"]
        .iter()
        .any(|class| code.starts_with(class))
        || [LOCK_NOT_AVAILABLE, READ_ONLY].contains(&code)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_a_locked_file_and_a_server_that_only_reads_pass() {
        // could not extend file, out of memory, too many connections, read-only
        for code in ["53100", "53200", "53300", "25006"] {
            assert!(is_passing_postgres_code(code), "{code}");
        }
        for code in ["22P02", "23502", "42P01"] {
            assert!(!is_passing_postgres_code(code), "{code}");
        }
        // SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_SHMSIZE, SQLITE_READONLY, SQLITE_BUSY
        for code in ["13", "778", "4874", "8", "5"] {
            assert!(is_passing_sqlite_code(code), "{code}");
        }
        // SQLITE_ERROR, SQLITE_CORRUPT, SQLITE_CONSTRAINT_UNIQUE
        for code in ["1", "11", "2067", "none"] {
            assert!(!is_passing_sqlite_code(code), "{code}");
        }
    }
}
