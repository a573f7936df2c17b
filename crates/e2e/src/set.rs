//! The two sets of parts that Tendril runs on: the embedded default, and what
//! production adds by configuration.

use anyhow::{Result, bail};
use private_services::{Postgres, RabbitMq, Redis, S3};

/// Which parts a system under test has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// SQLite, leases over the internal link, one node.
    Embedded,
    /// PostgreSQL, RabbitMQ, Redis, images in a bucket.
    Production,
}

impl Set {
    /// What `TENDRIL_SET` names; the embedded set without it.
    pub fn from_environment() -> Result<Self> {
        match std::env::var("TENDRIL_SET").as_deref() {
            Err(_) | Ok("embedded") => Ok(Self::Embedded),
            Ok("production") => Ok(Self::Production),
            Ok(other) => bail!("TENDRIL_SET is {other}, neither embedded nor production"),
        }
    }

    /// Its name, as `TENDRIL_SET` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Production => "production",
        }
    }
}

/// The addresses of the servers that a system uses; none is the embedded set.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// `DATABASE_URL`.
    pub database: Option<String>,
    /// `RABBITMQ_URL`.
    pub broker: Option<String>,
    /// `REDIS_URL`.
    pub redis: Option<String>,
    /// Where pictures are kept.
    pub images: Option<Bucket>,
}

/// A bucket of an S3-compatible store that takes any key.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// `S3__Endpoint`.
    pub endpoint: String,
    /// `S3__Bucket`.
    pub name: String,
}

impl Bucket {
    /// A new one.
    pub async fn of(store: &S3) -> Result<Self, private_services::Error> {
        Ok(Self {
            endpoint: store.endpoint(),
            name: store.new_bucket().await?,
        })
    }
}

impl Parts {
    /// An empty database, virtual host and bucket of the servers that this
    /// process shares, as far as the set has them.
    pub async fn shared(set: Set) -> Result<Self> {
        if set == Set::Embedded {
            return Ok(Self::default());
        }
        let database = async { Postgres::shared().await.new_database().await };
        let broker = async { RabbitMq::shared().await.new_vhost().await };
        let redis = async { Redis::shared().await.url() };
        let images = async { Bucket::of(S3::shared().await).await };
        let (database, broker, redis, images) = tokio::join!(database, broker, redis, images);
        let images = images?;
        Ok(Self {
            database: PRODUCTION.database.then_some(database),
            broker: PRODUCTION.broker.then_some(broker),
            redis: PRODUCTION.redis.then_some(redis),
            images: PRODUCTION.images.then_some(images),
        })
    }

    /// The hub's settings for them.
    #[must_use]
    pub fn hub_settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.worker_settings();
        if let Some(url) = &self.database {
            settings.push(("DATABASE_URL", url.clone()));
        }
        if let Some(url) = &self.redis {
            settings.push(("REDIS_URL", url.clone()));
            settings.push(("UseRedis", "true".to_owned()));
            // Systems that share a Redis must differ in it.
            let prefix = format!("test-{:x}:", rand::random::<u64>());
            settings.push(("Redis__ChannelPrefix", prefix));
        }
        if let Some(Bucket { endpoint, name }) = &self.images {
            settings.push(("S3__Endpoint", endpoint.clone()));
            settings.push(("S3__Bucket", name.clone()));
            settings.push(("S3__AccessKey", "tests".to_owned()));
            settings.push(("S3__SecretKey", "a secret of the tests".to_owned()));
        }
        settings
    }

    /// The worker's settings for them.
    #[must_use]
    pub fn worker_settings(&self) -> Vec<(&'static str, String)> {
        let broker = self.broker.iter();
        broker.map(|url| ("RABBITMQ_URL", url.clone())).collect()
    }
}

/// Which parts the services support.
pub(crate) struct Supported {
    pub(crate) database: bool,
    pub(crate) broker: bool,
    pub(crate) redis: bool,
    pub(crate) images: bool,
}

pub(crate) const PRODUCTION: Supported = Supported {
    database: true,
    broker: true,
    redis: true,
    images: true,
};
