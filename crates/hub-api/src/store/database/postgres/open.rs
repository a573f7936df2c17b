//! Connecting: session settings, migrations, the pools.

use std::time::Duration;

use sqlx::{
    ConnectOptions, Connection, PgConnection,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, sleep, timeout};

use super::{presence::is_alone, writer::PostgresWriter};
use crate::store::{
    Clock, StoreError, StoreOptions,
    clock::UnixMillis,
    database::{Conn, Opened, Readers, WriterConnection, step},
    options::PostgresAddress,
    read::make_epoch,
};

/// Connections of the pool for what hubs tell each other.
const TELLERS: u32 = 1;

/// How long a database that starts or fails over is waited for.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// How long migrations may take, and wait for those of another hub.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(10 * 60);

pub(in crate::store::database) async fn open(
    options: &StoreOptions,
    address: &PostgresAddress,
) -> Result<Opened, StoreError> {
    address.warn_of_plain_text();
    let mut conn = connect_patiently(&migrating(address)).await?;
    timeout(MIGRATION_PATIENCE, migrations().run(&mut conn))
        .await
        .map_err(|_| StoreError::TimedOut)??;
    let set_up = async {
        make_epoch(Conn::Postgres(&mut conn)).await?;
        let clock = database_clock(options, &mut conn).await?;
        // Where another hub is at work, workers could lengthen their leases there.
        if is_alone(&mut conn).await? {
            spare_leases(&mut conn, clock.now() + options.lease_grace).await?;
        }
        conn.close().await?;
        Ok::<_, StoreError>(clock)
    };
    let clock = timeout(START_PATIENCE, set_up)
        .await
        .map_err(|_| StoreError::TimedOut)??;
    let writer = PostgresWriter::new(session(options, address), options, clock.clone());
    Ok(Opened {
        readers: readers(options, address),
        writer: Some(WriterConnection::Postgres(Box::new(writer))),
        clock,
    })
}

pub(in crate::store::database) async fn open_for_reading(
    options: &StoreOptions,
    address: &PostgresAddress,
) -> Result<Opened, StoreError> {
    let mut conn = connect_patiently(&session(options, address)).await?;
    let clock = timeout(START_PATIENCE, database_clock(options, &mut conn))
        .await
        .map_err(|_| StoreError::TimedOut)??;
    // The server ends the session either way.
    drop(conn);
    Ok(Opened {
        readers: readers(options, address),
        writer: None,
        clock,
    })
}

fn named(address: &PostgresAddress) -> PgConnectOptions {
    let options = address.options().clone().disable_statement_logging();
    match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("tendril-hub"),
    }
}

/// What every session of a hub at work is bounded by.
pub(in crate::store::database) fn session(
    options: &StoreOptions,
    address: &PostgresAddress,
) -> PgConnectOptions {
    let millis = |time: Duration| time.as_millis().to_string();
    let lock_timeout = options.patience / 2;
    // The session of a hub that hangs ends by itself, and its locks with it,
    // before another hub gives up waiting for them.
    let forgotten = lock_timeout * 4 / 5;
    named(address).options([
        // An accepted write survives the server's crash, whatever its defaults say.
        ("synchronous_commit", "on".to_owned()),
        ("statement_timeout", millis(options.patience)),
        ("lock_timeout", millis(lock_timeout)),
        ("idle_in_transaction_session_timeout", millis(forgotten)),
        // A statement whose hub is gone is not finished first.
        ("client_connection_check_interval", "2000".to_owned()),
        ("tcp_keepalives_idle", "10".to_owned()),
        ("tcp_keepalives_interval", "5".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
    ])
}

/// A migration may take its time, and wait for another hub's.
fn migrating(address: &PostgresAddress) -> PgConnectOptions {
    named(address).options([("statement_timeout", "0"), ("lock_timeout", "0")])
}

fn readers(options: &StoreOptions, address: &PostgresAddress) -> Readers {
    let connect = session(options, address).options([("default_transaction_read_only", "on")]);
    let pool = PgPoolOptions::new()
        .max_connections(options.readers + TELLERS)
        .acquire_timeout(options.patience)
        // A connection that idled may have died with its server; asking costs
        // a round trip, and only then.
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            Box::pin(async move {
                Ok(meta.idle_for < Duration::from_secs(1)
                    || timeout(Duration::from_secs(1), conn.ping())
                        .await
                        .is_ok_and(|alive| alive.is_ok()))
            })
        })
        .connect_lazy_with(connect);
    Readers::Postgres(pool)
}

/// Connects, and tries again while the database cannot be reached yet.
async fn connect_patiently(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let until = Instant::now() + START_PATIENCE;
    let mut pause = Duration::from_millis(100);
    loop {
        let error: StoreError = match timeout(START_PATIENCE, options.connect()).await {
            Ok(Ok(conn)) => return Ok(conn),
            Ok(Err(error)) => error.into(),
            Err(_) => StoreError::TimedOut,
        };
        if !error.is_transient() || Instant::now() + pause >= until {
            return Err(error);
        }
        tracing::warn!(%error, ?pause, "store.unreachable: the database cannot be reached yet");
        sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// The schema, one step a file. A step is never changed once released; an
/// older hub runs on a newer schema (expand, then contract). sqlx holds an
/// advisory lock meanwhile, so that hubs that start together do not collide.
pub(in crate::store::database) fn migrations() -> Migrator {
    let mut migrator = Migrator::with_migrations(vec![
        step(
            1,
            "store",
            include_str!("../../../../migrations/postgres/0001_store.sql"),
        ),
        step(
            2,
            "announcements",
            include_str!("../../../../migrations/postgres/0002_announcements.sql"),
        ),
        step(
            3,
            "delivery",
            include_str!("../../../../migrations/postgres/0003_delivery.sql"),
        ),
    ]);
    migrator.set_ignore_missing(true);
    migrator
}

/// The database's own clock, or the one that a test gives.
async fn database_clock(
    options: &StoreOptions,
    conn: &mut PgConnection,
) -> Result<Clock, StoreError> {
    if !options.clock.is_system() {
        return Ok(options.clock.clone());
    }
    let now: i64 =
        sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8")
            .fetch_one(conn)
            .await?;
    Ok(Clock::following(UnixMillis(now)))
}

/// A worker at work must not lose its job because all hubs were away. A row
/// that is locked is being changed by another hub, which was not.
async fn spare_leases(conn: &mut PgConnection, until: UnixMillis) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE jobs SET lease_until = $1 WHERE id IN (
             SELECT id FROM jobs WHERE state = 'leased' AND lease_until < $1
             ORDER BY id FOR UPDATE SKIP LOCKED)",
    )
    .bind(until.0)
    .execute(conn)
    .await?;
    Ok(())
}
