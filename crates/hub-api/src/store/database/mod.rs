//! What differs between the databases: connecting, statements over many rows,
//! transactions. Everything above it is written once.
//!
//! Most statements are the same text on both, since SQLite reads PostgreSQL's
//! `$1` as well; where they differ, [`Sql`] holds both. It decides nothing.

mod rows;
mod counters;
mod transaction;
mod sqlite;
mod postgres;
mod schema;

use sqlx::{
    PgConnection, PgPool, SqlSafeStr, Sqlite, SqliteConnection, SqlitePool,
    migrate::{Migration, MigrationType},
    pool::PoolConnection,
};

pub(in crate::store) use counters::Counters;
pub(in crate::store) use postgres::{PostgresReader, PostgresWriter, watch_jobs};
pub(in crate::store) use rows::{Args, Kind, MAX_ROWS, RowsStatement};
pub use schema::{Schema, schema};
pub(in crate::store) use sqlite::SqliteWriter;
#[cfg(test)]
pub(in crate::store) use sqlite::migrations as sqlite_migrations;
pub(in crate::store) use transaction::{Transaction, read_rows};

use super::{Clock, StoreError, StoreOptions, UnixMillis, log::LoggedEntry, options::Location};

/// One statement, in both dialects.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Sql {
    pub(in crate::store) sqlite: &'static str,
    pub(in crate::store) postgres: &'static str,
}

impl Sql {
    /// The same text on both.
    pub(in crate::store) const fn same(sql: &'static str) -> Self {
        Self {
            sqlite: sql,
            postgres: sql,
        }
    }
}

/// The same statement on both, but that PostgreSQL locks what it reads: there
/// the hub's writer is not the only one.
macro_rules! locking {
    ($sql:literal, $lock:literal) => {
        $crate::store::database::Sql {
            sqlite: $sql,
            postgres: concat!($sql, " ", $lock),
        }
    };
}

/// Runs an [`Sql`] on a [`Conn`] with the arguments, and fetches rows
/// (`fetch_one`, `fetch_optional`, `fetch_all`) or the number of rows that it
/// changed (`execute`).
macro_rules! run {
    ($conn:expr, $sql:expr, [$($arg:expr),* $(,)?], execute) => {
        match $conn {
            $crate::store::database::Conn::Sqlite(conn) => sqlx::query::<sqlx::Sqlite>($sql.sqlite)
                $(.bind($arg))*
                .execute(conn)
                .await
                .map(|done| done.rows_affected()),
            $crate::store::database::Conn::Postgres(conn) => sqlx::query::<sqlx::Postgres>($sql.postgres)
                $(.bind($arg))*
                .execute(conn)
                .await
                .map(|done| done.rows_affected()),
        }
    };
    ($conn:expr, $sql:expr, [$($arg:expr),* $(,)?], $fetch:ident) => {
        match $conn {
            $crate::store::database::Conn::Sqlite(conn) => sqlx::query_as::<sqlx::Sqlite, _>($sql.sqlite)
                $(.bind($arg))*
                .$fetch(conn)
                .await,
            $crate::store::database::Conn::Postgres(conn) => sqlx::query_as::<sqlx::Postgres, _>($sql.postgres)
                $(.bind($arg))*
                .$fetch(conn)
                .await,
        }
    };
}

/// A row as a struct: its fields are the columns, in their order.
macro_rules! columns {
    ($(#[$doc:meta])* $vis:vis $name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug)]
        $vis struct $name {
            $($vis $field: $kind),*
        }

        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for $name
        where
            usize: sqlx::ColumnIndex<R>,
            $($kind: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>),*
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                let mut columns = 0..;
                let mut next = || columns.next().unwrap_or(usize::MAX);
                Ok(Self { $($field: row.try_get(next())?),* })
            }
        }
    };
}

pub(in crate::store) use {columns, locking, run};

/// A connection of either database.
#[derive(Debug)]
pub(in crate::store) enum Conn<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Conn<'_> {
    /// The same connection, for one statement more.
    pub(in crate::store) fn again(&mut self) -> Conn<'_> {
        match self {
            Conn::Sqlite(conn) => Conn::Sqlite(conn),
            Conn::Postgres(conn) => Conn::Postgres(conn),
        }
    }
}

/// The pool of connections that only read.
#[derive(Debug, Clone)]
pub(in crate::store) enum Readers {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Readers {
    /// How many connections there are, and how many of them nobody uses.
    pub(in crate::store) fn standing(&self) -> (u32, u32) {
        let (open, idle) = match self {
            Self::Sqlite(pool) => (pool.size(), pool.num_idle()),
            Self::Postgres(pool) => (pool.size(), pool.num_idle()),
        };
        (open, u32::try_from(idle).unwrap_or(open))
    }

    pub(in crate::store) async fn acquire(&self) -> Result<Reader, StoreError> {
        Ok(match self {
            Self::Sqlite(pool) => Reader::Sqlite(pool.acquire().await?),
            Self::Postgres(pool) => Reader::Postgres(PostgresReader::acquire(pool).await?),
        })
    }
}

/// A connection of the pool, until it is dropped.
#[derive(Debug)]
pub(in crate::store) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PostgresReader),
}

impl Reader {
    pub(in crate::store) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(conn) => Conn::Sqlite(conn),
            Self::Postgres(reader) => Conn::Postgres(reader.conn()),
        }
    }

    /// All that was asked has been answered, so that the connection can serve again.
    pub(in crate::store) fn finished(self) {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(reader) => reader.finished(),
        }
    }
}

/// The writer's one connection.
#[derive(Debug)]
pub(in crate::store) enum WriterConnection {
    Sqlite(SqliteWriter),
    Postgres(Box<PostgresWriter>),
}

/// An open database: what reads, what writes, and what time it goes by.
#[derive(Debug)]
pub(in crate::store) struct Opened {
    pub(in crate::store) readers: Readers,
    /// Absent where it was opened for reading.
    pub(in crate::store) writer: Option<WriterConnection>,
    pub(in crate::store) clock: Clock,
}

/// Opens the database that the options name, makes its schema or brings it up
/// to date, and spares the leases of workers that are at work.
pub(in crate::store) async fn open(options: &StoreOptions) -> Result<Opened, StoreError> {
    match &options.location {
        Location::Sqlite(path) => sqlite::open(options, path).await,
        Location::Postgres(address) => postgres::open(options, address).await,
    }
}

/// A step of the schema, in a transaction of its own.
fn step(version: i64, name: &'static str, sql: &'static str) -> Migration {
    let sql = sql.into_sql_str();
    Migration::new(version, name.into(), MigrationType::Simple, sql, false)
}

/// Opens an existing database without touching its schema.
pub(in crate::store) async fn open_for_reading(
    options: &StoreOptions,
) -> Result<Opened, StoreError> {
    match &options.location {
        Location::Sqlite(path) => sqlite::open_for_reading(options, path).await,
        Location::Postgres(address) => postgres::open_for_reading(options, address).await,
    }
}

impl WriterConnection {
    /// Begins a transaction; what its time is.
    pub(in crate::store) async fn begin(
        &mut self,
    ) -> Result<(Transaction<'_>, UnixMillis), StoreError> {
        match self {
            Self::Sqlite(writer) => Ok(writer.begin()),
            Self::Postgres(writer) => writer.begin().await,
        }
    }

    /// Ends a transaction that met an error; what its callers are told.
    pub(in crate::store) async fn roll_back(&mut self, error: StoreError) -> StoreError {
        match self {
            Self::Sqlite(writer) => {
                writer.roll_back().await;
                error
            }
            Self::Postgres(writer) => writer.roll_back(error).await,
        }
    }

    /// True where other processes write as well, so that a transaction holds
    /// row locks that another one waits for.
    pub(in crate::store) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// True while it is not known whether a transaction was committed.
    pub(in crate::store) fn is_in_doubt(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(writer) => writer.is_in_doubt(),
        }
    }

    /// Finds out what became of the transaction in doubt: its entries, should
    /// it have been committed.
    pub(in crate::store) async fn resolve(&mut self) -> Result<Vec<LoggedEntry>, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(Vec::new()),
            Self::Postgres(writer) => writer.resolve().await,
        }
    }

    /// Leaves the database in order.
    pub(in crate::store) async fn close(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(writer) => writer.close().await,
            Self::Postgres(writer) => writer.close().await,
        }
    }
}
