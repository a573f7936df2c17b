//! Opening the file: pragmas, migrations, epoch, the writer's start.

use std::{fs::OpenOptions, path::Path, sync::Arc};

use sqlx::{
    ConnectOptions, SqlSafeStr, SqliteConnection, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Shared, SqliteStore, queue, read, receipts::Receipts, writer::Writer};
use crate::store::{OnCommitted, StoreError, StoreOptions, UnixMillis};

/// WAL pages (of 4 KiB) after which it is folded into the file: large enough
/// that pages that change all the time are copied once for many commits.
const CHECKPOINT_PAGES: &str = "4000";

/// Page cache of the writer, in KiB (negative by SQLite's convention).
const WRITER_CACHE: &str = "-32768";

pub(super) async fn open(
    options: StoreOptions,
    on_committed: OnCommitted,
) -> Result<(SqliteStore, JoinHandle<Result<(), StoreError>>), StoreError> {
    keep_private(&options.path)?;
    let mut conn = writing(&options).connect().await?;
    migrations().run(&mut conn).await?;
    let epoch = make_epoch(&mut conn).await?;
    spare_leases(&mut conn, options.clock.now() + options.lease_grace).await?;
    let readers = reader_pool(&options).await?;
    let (queues, waiting) = queue::queues(options.queue_capacity, options.patience);
    let shared = shared(options, epoch);
    let writer = Writer {
        conn,
        shared: Arc::clone(&shared),
        waiting,
        on_committed,
        receipts_due: None,
    };
    let ended = shared.ended.clone().drop_guard();
    let task = async move {
        // Dropped when the task ends for whatever reason.
        let _ended = ended;
        writer.run().await
    };
    let task = tokio::spawn(task.instrument(tracing::info_span!("store_writer")));
    Ok((
        SqliteStore {
            shared,
            queues: Some(Arc::new(queues)),
            readers,
        },
        task,
    ))
}

pub(super) async fn open_for_reading(options: StoreOptions) -> Result<SqliteStore, StoreError> {
    let readers = reader_pool(&options).await?;
    let epoch = read::epoch(&readers).await?;
    let shared = shared(options, epoch);
    shared.ended.cancel();
    Ok(SqliteStore {
        shared,
        queues: None,
        readers,
    })
}

fn shared(options: StoreOptions, epoch: Arc<str>) -> Arc<Shared> {
    Arc::new(Shared {
        options,
        epoch,
        receipts: Receipts::default(),
        jobs_changed: watch::Sender::new(0),
        closing: CancellationToken::new(),
        ended: CancellationToken::new(),
    })
}

fn connecting(options: &StoreOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&options.path)
        // How long to wait for another process that writes. Callers wait
        // longer, so that they learn the reason.
        .busy_timeout(options.patience / 2)
        .foreign_keys(true)
        .statement_cache_capacity(200)
        // Rows cross to this side in one go.
        .row_buffer_size(1024)
        .disable_statement_logging()
}

fn writing(options: &StoreOptions) -> SqliteConnectOptions {
    connecting(options)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", WRITER_CACHE)
        .thread_name(|_| "store-writer".to_owned())
}

async fn reader_pool(options: &StoreOptions) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(options.readers)
        .acquire_timeout(options.patience)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    let connect = connecting(options)
        .read_only(true)
        .thread_name(|n| format!("store-reader-{n}"));
    Ok(pool.connect_with(connect).await?)
}

/// The schema, one step a file. A step is never changed once released; an
/// older binary runs on a newer schema (expand, then contract).
fn migrations() -> Migrator {
    let mut migrator = Migrator::with_migrations(vec![Migration::new(
        1,
        "store".into(),
        MigrationType::Simple,
        include_str!("../../../migrations/sqlite/0001_store.sql").into_sql_str(),
        false,
    )]);
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

/// The epoch is made with the database: one that was made anew has another.
async fn make_epoch(conn: &mut SqliteConnection) -> Result<Arc<str>, StoreError> {
    sqlx::query("INSERT INTO store (id, epoch) VALUES (1, lower(hex(randomblob(8)))) ON CONFLICT DO NOTHING")
        .execute(&mut *conn)
        .await?;
    let epoch: String = sqlx::query_scalar("SELECT epoch FROM store")
        .fetch_one(conn)
        .await?;
    Ok(epoch.into())
}
