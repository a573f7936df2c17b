//! Tells other hubs that a job may have become ready, and hears it from them.
//!
//! It is a hint (LISTEN/NOTIFY): losing one costs a few seconds, until the
//! queue is looked at anyway. So nothing is told within a transaction, where
//! NOTIFY makes commits wait for each other.

use std::{convert::Infallible, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval_at, sleep, timeout},
};

use super::PostgresReader;
use crate::store::{Clock, StoreError};

const CHANNEL: &str = "tendril_jobs";

/// Changes within this time are told together.
const BETWEEN_NEWS: Duration = Duration::from_millis(20);

/// Between two looks at the queue, in case news went lost.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// After so long a silence the connection is asked whether it still lives.
const SILENCE: Duration = Duration::from_secs(60);

/// Before a lost connection is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells of `own_changes` and counts `changed` up for those of others, until
/// it is dropped.
pub(in crate::store) async fn watch_jobs(
    pool: PgPool,
    patience: Duration,
    clock: Clock,
    changed: &watch::Sender<u64>,
    own_changes: &Notify,
) -> Infallible {
    let me = format!("{:016x}", rand::random::<u64>());
    let (never, _, _) = tokio::join!(
        listen(&pool, patience, &me, changed),
        tell(&pool, patience, &me, own_changes),
        look(&pool, patience, &clock, changed)
    );
    never
}

fn count_up(changed: &watch::Sender<u64>) {
    changed.send_modify(|version| *version = version.wrapping_add(1));
}

async fn listen(
    pool: &PgPool,
    patience: Duration,
    me: &str,
    changed: &watch::Sender<u64>,
) -> Infallible {
    loop {
        match hear(pool, patience, me, changed).await {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "store.not_listening: other hubs are not heard"),
        }
        sleep(PAUSE.mul_f64(rand::random_range(0.5..1.5))).await;
        // What was said meanwhile was not heard.
        count_up(changed);
    }
}

/// Until the connection is lost. It has a pool of its own, since a listener
/// says farewell without a bound, which must keep no reader's place.
async fn hear(
    pool: &PgPool,
    patience: Duration,
    me: &str,
    changed: &watch::Sender<u64>,
) -> Result<(), StoreError> {
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(patience)
        .connect_lazy_with((*pool.connect_options()).clone());
    let mut listener = PgListener::connect_with(&own).await?;
    listener.eager_reconnect(false);
    within(patience, listener.listen(CHANNEL)).await?;
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(news))) if news.payload() == me => {}
            Ok(Ok(Some(_))) => count_up(changed),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                within(patience, sqlx::query("SELECT 1").execute(&mut listener)).await?;
            }
        }
    }
}

async fn within<T>(
    patience: Duration,
    ask: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let answer = timeout(patience, ask).await;
    Ok(answer.map_err(|_| StoreError::TimedOut)??)
}

async fn tell(pool: &PgPool, patience: Duration, me: &str, own_changes: &Notify) -> Infallible {
    loop {
        own_changes.notified().await;
        let told = within(patience, async {
            let mut reader = PostgresReader::acquire(pool).await?;
            sqlx::query("SELECT pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(me)
                .execute(reader.conn())
                .await?;
            reader.finished();
            Ok(())
        });
        let told = told.await;
        if let Err(error) = told {
            tracing::debug!(%error, "store.not_told: other hubs look by themselves");
        }
        sleep(BETWEEN_NEWS).await;
    }
}

async fn look(
    pool: &PgPool,
    patience: Duration,
    clock: &Clock,
    changed: &watch::Sender<u64>,
) -> Infallible {
    let start = tokio::time::Instant::now() + BETWEEN_LOOKS;
    let mut tick = interval_at(start, BETWEEN_LOOKS);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let ready = within(patience, async {
            let mut reader = PostgresReader::acquire(pool).await?;
            let ready = sqlx::query_scalar::<_, bool>(
                "SELECT EXISTS (SELECT 1 FROM jobs
                 WHERE state = 'queued' AND available_at <= $1 AND deadline > $1)",
            )
            .bind(clock.now().0)
            .fetch_one(reader.conn())
            .await?;
            reader.finished();
            Ok(ready)
        });
        if matches!(ready.await, Ok(true)) {
            count_up(changed);
        }
    }
}
