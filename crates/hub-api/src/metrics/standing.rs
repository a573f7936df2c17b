//! What is not counted but asked for: the queue, the pool, Redis, the broker.

use std::fmt;

use signalr::BackplaneStats;
use signalr_redis::LinkStats;
use telemetry::metrics::{Source, Writer};

use crate::{
    auth::Denied,
    queue::QueueFigures,
    store::{PoolFigures, QueueStats},
};

/// How things stand at one moment.
#[derive(Debug, Default)]
pub struct Standing {
    /// The jobs; `None` where the database did not answer in time.
    pub jobs: Option<QueueStats>,
    /// The database's connections.
    pub pool: PoolFigures,
    /// Redis, where the hub is told of one: whether it is connected, and what
    /// went over it.
    pub redis: Option<(bool, LinkStats)>,
    /// The backplane of the clients' hub.
    pub backplane: Option<BackplaneStats>,
    /// The broker, where there is one.
    pub(crate) broker: Option<QueueFigures>,
    /// Attempts that were denied, by why.
    pub denied: Vec<(Denied, u64)>,
    /// Clients that are slow now, by hub.
    pub slow_clients: Vec<(&'static str, usize)>,
    /// Switches, with 1 for on and 0 for off, or their percentage.
    pub switches: Vec<(&'static str, f64)>,
}

impl Source for Standing {
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        self.write_jobs(writer)?;
        self.write_pool(writer)?;
        self.write_redis(writer)?;
        self.write_broker(writer)?;
        let denied = self.denied.iter();
        let help = "Attempts that were denied, by why.";
        let denied = denied.map(|(why, count)| ([("reason", why.name())], *count));
        writer.totals("tendril_denied", help, denied)?;
        let slow = self.slow_clients.iter();
        writer.values(
            "tendril_signalr_slow_clients",
            "Clients that are behind with what they were sent: a write to them stands still, or \
             more than half of what closes them waits.",
            slow.map(|(hub, count)| ([("hub", *hub)], *count as f64)),
        )?;
        let switches = self.switches.iter();
        writer.values(
            "tendril_switch",
            "Switches: 1 is on, 0 is off; the rollout is a percentage.",
            switches.map(|(name, value)| ([("switch", *name)], *value)),
        )
    }
}

impl Standing {
    fn write_jobs(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let help = "Whether the database answers.";
        writer.gauge("tendril_database_up", help, flag(self.jobs.is_some()))?;
        let Some(jobs) = &self.jobs else {
            return Ok(());
        };
        let states = [
            ("ready", jobs.ready),
            ("waiting", jobs.waiting),
            ("leased", jobs.leased),
            ("parked", jobs.parked),
        ];
        writer.values(
            "tendril_jobs",
            "Jobs that have not ended: ready for a worker, waiting for their next attempt, leased \
             to a worker, parked until an outside answer.",
            states.map(|(state, count)| ([("state", state)], count as f64)),
        )?;
        writer.gauge(
            "tendril_job_oldest_ready_seconds",
            "How long the oldest ready job has waited for a worker.",
            jobs.oldest_ready.as_secs_f64(),
        )?;
        writer.gauge(
            "tendril_job_oldest_open_seconds",
            "How long ago the oldest job that has not ended was accepted.",
            jobs.oldest_open.as_secs_f64(),
        )
    }

    fn write_pool(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let pool = &self.pool;
        let used = pool.open.saturating_sub(pool.idle);
        writer.values(
            "tendril_database_connections",
            "Connections for reading.",
            [("idle", pool.idle), ("used", used)]
                .map(|(state, count)| ([("state", state)], f64::from(count))),
        )?;
        writer.gauge(
            "tendril_database_connections_max",
            "Connections for reading that there may be.",
            f64::from(pool.most),
        )?;
        writer.gauge(
            "tendril_database_queued_writes",
            "Writes that wait for the writer.",
            pool.queued_writes as f64,
        )
    }

    fn write_redis(&self, writer: &mut Writer<'_>) -> fmt::Result {
        if let Some((up, stats)) = &self.redis {
            let help = "Whether Redis is connected.";
            writer.gauge("tendril_redis_up", help, flag(*up))?;
            let help = "Times that the connection to Redis was built.";
            writer.total("tendril_redis_connects", help, stats.connects)?;
            let messages = [
                ("published", stats.published),
                ("not_published", stats.not_published),
                ("received", stats.received),
            ];
            let help = "Messages over Redis.";
            writer.totals("tendril_redis_messages", help, by_outcome(messages))?;
        }
        if let Some(stats) = &self.backplane {
            let messages = [
                ("sent", stats.sent),
                ("failed", stats.failed),
                ("dropped", stats.dropped),
                ("received", stats.received),
            ];
            let help = "Messages to and from the clients of other hubs.";
            writer.totals("tendril_backplane_messages", help, by_outcome(messages))?;
            let help = "Messages that wait for the backplane.";
            writer.gauge("tendril_backplane_waiting", help, stats.waiting as f64)?;
        }
        Ok(())
    }

    fn write_broker(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Some(broker) = &self.broker else {
            return Ok(());
        };
        let help = "Whether the broker takes what it is told.";
        writer.gauge("tendril_broker_up", help, flag(broker.works))?;
        let announcements = [("confirmed", broker.announced), ("refused", broker.refused)];
        let help = "Jobs that the broker was told of.";
        writer.totals(
            "tendril_broker_announcements",
            help,
            by_outcome(announcements),
        )?;
        let letters = [
            ("failed", broker.failed_by_letter),
            ("unreadable", broker.unreadable_letters),
            ("refused", broker.refused_letters),
        ];
        let help = "Dead letters: analyses that failed by one, those that nobody can read, \
                    and those that the store never takes.";
        writer.totals("tendril_broker_dead_letters", help, by_outcome(letters))
    }
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

fn by_outcome<const N: usize>(
    counts: [(&'static str, u64); N],
) -> [([(&'static str, &'static str); 1], u64); N] {
    counts.map(|(outcome, count)| ([("outcome", outcome)], count))
}
