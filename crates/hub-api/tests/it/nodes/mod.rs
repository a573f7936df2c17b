//! Two hubs with one database and one Redis, as their clients see them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod log;
mod broadcast;
mod connections;
mod faults;
mod switches;
mod operators;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use private_services::{Postgres, Redis};
use serde_json::{Value, json};

use crate::harness::{Hub, read};

/// Far beyond what anything takes: a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What two hubs have in common.
struct Common {
    database: String,
    redis: Option<String>,
    prefix: String,
    /// Between two sweeps, as a setting.
    sweep: &'static str,
}

impl Common {
    /// A database of its own on servers that all tests share. The sweep is so
    /// rare that what arrives was hinted at, or missed before a hub had
    /// subscribed, which it looks for once it has.
    async fn new() -> Self {
        static TESTS: AtomicU32 = AtomicU32::new(0);
        let test = TESTS.fetch_add(1, Ordering::Relaxed);
        Self {
            database: Postgres::shared().await.new_database().await,
            redis: Some(Redis::shared().await.url()),
            prefix: format!("test {test}:"),
            sweep: "600",
        }
    }

    /// Starts a hub and waits until it has Redis.
    async fn hub(&self) -> Hub {
        let mut settings = vec![
            ("DATABASE_URL", self.database.as_str()),
            ("Database__PoolSize", "3"),
            ("Redis__ChannelPrefix", &self.prefix),
            ("Nodes__Sweep", self.sweep),
        ];
        if let Some(url) = &self.redis {
            settings.extend([("REDIS_URL", url.as_str()), ("UseRedis", "true")]);
        }
        let hub = Hub::with(&settings).await;
        if self.redis.is_some() {
            until_redis_is(&hub, "Healthy").await;
        }
        hub
    }
}

/// How a hub says that its Redis is.
async fn redis_health(hub: &Hub) -> Value {
    let health = hub.get("/health").send().await.unwrap();
    let health = read(health, 200).await;
    let checks = health["checks"].as_array().unwrap();
    let redis = checks.iter().find(|check| check["name"] == "redis");
    redis.unwrap()["status"].clone()
}

async fn until_redis_is(hub: &Hub, status: &str) {
    let change = async {
        while redis_health(hub).await != status {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, change).await.expect(status);
}

/// Notifies a user of something, at `hub`; gives the answer.
async fn notify(hub: &Hub, user: i64, number: i64) -> Value {
    let body = json!({"userId": user, "event": "Done", "payload": {"number": number}});
    hub.call("/internal/notify", &body, 202).await
}
