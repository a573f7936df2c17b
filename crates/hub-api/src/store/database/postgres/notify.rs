//! Tells other hubs that a job may have become ready, and hears it from them.
//!
//! It is a hint (LISTEN/NOTIFY): losing one costs a few seconds, until the
//! queue is looked at anyway. So nothing is told within a transaction, where
//! NOTIFY makes commits wait for each other.

use std::{convert::Infallible, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval_at, sleep},
};

use crate::store::Clock;

const CHANNEL: &str = "tendril_jobs";

/// Changes within this time are told together.
const BETWEEN_NEWS: Duration = Duration::from_millis(20);

/// Between two looks at the queue, in case news went lost.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// Before a lost connection is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells of `own_changes` and counts `changed` up for those of others, until
/// it is dropped.
pub(in crate::store) async fn watch_jobs(
    pool: PgPool,
    clock: Clock,
    changed: &watch::Sender<u64>,
    own_changes: &Notify,
) -> Infallible {
    let me = format!("{:016x}", rand::random::<u64>());
    let (never, _, _) = tokio::join!(
        listen(&pool, &me, changed),
        tell(&pool, &me, own_changes),
        look(&pool, &clock, changed)
    );
    never
}

fn count_up(changed: &watch::Sender<u64>) {
    changed.send_modify(|version| *version = version.wrapping_add(1));
}

async fn listen(pool: &PgPool, me: &str, changed: &watch::Sender<u64>) -> Infallible {
    loop {
        match hear(pool, me, changed).await {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "store.not_listening: other hubs are not heard"),
        }
        sleep(PAUSE.mul_f64(rand::random_range(0.5..1.5))).await;
        // What was said meanwhile was not heard.
        count_up(changed);
    }
}

/// Until the connection is lost.
async fn hear(pool: &PgPool, me: &str, changed: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    while let Some(news) = listener.try_recv().await? {
        if news.payload() != me {
            count_up(changed);
        }
    }
    Ok(())
}

async fn tell(pool: &PgPool, me: &str, own_changes: &Notify) -> Infallible {
    loop {
        own_changes.notified().await;
        let told = sqlx::query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(me)
            .execute(pool)
            .await;
        if let Err(error) = told {
            tracing::debug!(%error, "store.not_told: other hubs look by themselves");
        }
        sleep(BETWEEN_NEWS).await;
    }
}

async fn look(pool: &PgPool, clock: &Clock, changed: &watch::Sender<u64>) -> Infallible {
    let start = tokio::time::Instant::now() + BETWEEN_LOOKS;
    let mut tick = interval_at(start, BETWEEN_LOOKS);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let ready = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT 1 FROM jobs
             WHERE state = 'queued' AND available_at <= $1 AND deadline > $1)",
        )
        .bind(clock.now().0)
        .fetch_one(pool)
        .await;
        if matches!(ready, Ok(true)) {
            count_up(changed);
        }
    }
}
