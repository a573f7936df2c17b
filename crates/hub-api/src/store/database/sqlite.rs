//! A SQLite file: pragmas, migrations, the one connection that writes.

use std::{fs::OpenOptions, path::Path};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Conn, Counters, Opened, Readers, Transaction, WriterConnection, step};
use crate::store::{Clock, StoreError, StoreOptions, UnixMillis, read::make_epoch};

/// WAL pages (of 4 KiB) after which it is folded into the file: large enough
/// that pages that change all the time are copied once for many commits.
const CHECKPOINT_PAGES: &str = "4000";

/// Page cache of the writer, in KiB (negative by SQLite's convention).
const WRITER_CACHE: &str = "-32768";

pub(super) async fn open(options: &StoreOptions, path: &Path) -> Result<Opened, StoreError> {
    keep_private(path)?;
    let mut conn = writing(options, path).connect().await?;
    migrations().run(&mut conn).await?;
    make_epoch(Conn::Sqlite(&mut conn)).await?;
    spare_leases(&mut conn, options.clock.now() + options.lease_grace).await?;
    let readers = Readers::Sqlite(reader_pool(options, path).await?);
    let clock = options.clock.clone();
    let writer = SqliteWriter {
        conn,
        clock: clock.clone(),
        counters: Counters::default(),
    };
    Ok(Opened {
        readers,
        writer: Some(WriterConnection::Sqlite(writer)),
        clock,
    })
}

pub(super) async fn open_for_reading(
    options: &StoreOptions,
    path: &Path,
) -> Result<Opened, StoreError> {
    Ok(Opened {
        readers: Readers::Sqlite(reader_pool(options, path).await?),
        writer: None,
        clock: options.clock.clone(),
    })
}

/// The one connection that writes.
#[derive(Debug)]
pub(in crate::store) struct SqliteWriter {
    conn: SqliteConnection,
    clock: Clock,
    counters: Counters,
}

impl SqliteWriter {
    pub(super) fn begin(&mut self) -> (Transaction<'_>, UnixMillis) {
        let now = self.clock.now();
        self.counters.keep_small();
        let conn = Conn::Sqlite(&mut self.conn);
        (Transaction::sqlite(conn, &mut self.counters), now)
    }

    pub(super) async fn roll_back(&mut self) {
        self.counters.forget();
        // Where BEGIN failed, and on some errors where SQLite rolls back by itself
        // (disk full, I/O), it says here that no transaction is active. Should one
        // be left open all the same, the next BEGIN fails and says so.
        if let Err(error) = sqlx::query("ROLLBACK").execute(&mut self.conn).await {
            tracing::debug!(%error, "store.rollback_refused");
        }
    }

    pub(super) async fn close(mut self) -> Result<(), StoreError> {
        // The WAL is folded into the file, so that a copy of it is whole.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut self.conn)
            .await?;
        self.conn.close().await?;
        Ok(())
    }
}

fn connecting(options: &StoreOptions, path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        // How long to wait for another process that writes. Callers wait
        // longer, so that they learn the reason.
        .busy_timeout(options.patience / 2)
        .foreign_keys(true)
        .statement_cache_capacity(200)
        // Rows cross to this side in one go.
        .row_buffer_size(1024)
        .disable_statement_logging()
}

fn writing(options: &StoreOptions, path: &Path) -> SqliteConnectOptions {
    connecting(options, path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", WRITER_CACHE)
        .thread_name(|_| "store-writer".to_owned())
}

async fn reader_pool(options: &StoreOptions, path: &Path) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(options.readers)
        .acquire_timeout(options.patience)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    let connect = reading(options, path).thread_name(|n| format!("store-reader-{n}"));
    Ok(pool.connect_with(connect).await?)
}

pub(super) fn reading(options: &StoreOptions, path: &Path) -> SqliteConnectOptions {
    connecting(options, path).read_only(true)
}

/// The schema, one step a file. A step is never changed once released; an
/// older binary runs on a newer schema (expand, then contract).
pub(in crate::store) fn migrations() -> Migrator {
    let mut migrator = Migrator::with_migrations(vec![
        step(
            1,
            "store",
            include_str!("../../../migrations/sqlite/0001_store.sql"),
        ),
        step(
            2,
            "announcements",
            include_str!("../../../migrations/sqlite/0002_announcements.sql"),
        ),
        step(
            3,
            "delivery",
            include_str!("../../../migrations/sqlite/0003_delivery.sql"),
        ),
    ]);
    migrator.set_ignore_missing(true);
    migrator
}

/// Makes the file where it is missing, for its owner's eyes only; SQLite gives
/// the files beside it the same mode.
fn keep_private(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(sqlx::Error::Io)?;
    Ok(())
}

/// A worker at work must not lose its job because the hub was away.
async fn spare_leases(conn: &mut SqliteConnection, until: UnixMillis) -> Result<(), StoreError> {
    sqlx::query("UPDATE jobs SET lease_until = ?1 WHERE state = 'leased' AND lease_until < ?1")
        .bind(until.0)
        .execute(conn)
        .await?;
    Ok(())
}
