//! What the suite runs on: the system, its own servers, and a network between
//! them that can fail.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use private_services::{Postgres, RabbitMq, Redis, S3};

use super::{Plan, analyser::Analyser, fault::Target};
use crate::{
    Api, Bucket, ChaosProxy, Parts, Set, System, SystemOptions, set::PRODUCTION, token::Issuer,
};

/// Two, so that what a frozen one holds can be taken over while it is frozen.
const WORKERS: usize = 2;

/// Everything that faults strike.
pub(super) struct Ground {
    pub(super) system: System,
    pub(super) analyser: Analyser,
    pub(super) postgres: Option<Server<Postgres>>,
    pub(super) rabbitmq: Option<Server<RabbitMq>>,
    pub(super) redis: Option<Server<Redis>>,
    /// The pictures are in its memory, so that no fault strikes it.
    images: Option<S3>,
    /// Between the clients and the hub.
    pub(super) clients: ChaosProxy,
    /// Between the workers and the hub.
    pub(super) workers: ChaosProxy,
}

/// A server and the network before it.
pub(super) struct Server<T> {
    pub(super) server: T,
    pub(super) network: ChaosProxy,
}

/// What users and other services know of the system.
#[derive(Debug)]
pub(super) struct Access {
    /// The hub, without a network that fails.
    pub(super) url: String,
    /// The hub by way of the clients' network.
    pub(super) client_port: u16,
    pub(super) issuer: Issuer,
    pub(super) internal_secret: String,
}

impl Access {
    /// Clients reach the hub at `client_port`.
    pub(super) fn of(system: &System, client_port: u16) -> Self {
        Self {
            url: system.url(),
            client_port,
            issuer: system.issuer.clone(),
            internal_secret: system.internal_secret.clone(),
        }
    }

    /// The plant analysis hub's host and path, as clients reach it.
    pub(super) fn client_hub(&self) -> String {
        format!("127.0.0.1:{}/hubs/plantanalysis", self.client_port)
    }

    pub(super) fn api(&self, user: i64) -> Api {
        Api::new(self.url.clone(), self.issuer.token(user))
    }
}

impl Ground {
    pub(super) async fn start(plan: &Plan) -> Result<Self> {
        let on = |part: bool| plan.set == Set::Production && part;
        let (postgres, rabbitmq, redis, images) = tokio::join!(
            async { if_wanted(on(PRODUCTION.database), Postgres::start()).await },
            async { if_wanted(on(PRODUCTION.broker), RabbitMq::start()).await },
            async { if_wanted(on(PRODUCTION.redis), Redis::start()).await },
            async { if_wanted(on(PRODUCTION.images), S3::start()).await },
        );
        let images = images?;
        let bucket = match &images {
            Some(store) => Some(Bucket::of(store).await?),
            None => None,
        };
        let postgres = behind_network(postgres?, Postgres::port).await?;
        let rabbitmq = behind_network(rabbitmq?, RabbitMq::port).await?;
        let redis = behind_network(redis?, Redis::port).await?;
        let parts = Parts {
            database: postgres
                .as_ref()
                .map(|it| it.server.url_at(it.network.port(), "postgres")),
            broker: rabbitmq
                .as_ref()
                .map(|it| it.server.url_at(it.network.port())),
            redis: redis.as_ref().map(|it| it.server.url_at(it.network.port())),
            images: bucket,
        };
        let analyser = Analyser::start(plan.seed).await?;
        let mut system = System::prepare(options(parts)).await?;
        let workers = ChaosProxy::start(system.hub_port).await?;
        let url = format!("http://127.0.0.1:{}", workers.port());
        system.set_workers("WebAPI__BaseUrl", Some(&url));
        system.start_services().await?;
        if rabbitmq.is_some() {
            // RabbitMQ 3.10 writes the register of its quorum queues half a second
            // late: one declared just before a kill has no leader ever after.
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        Ok(Self {
            clients: ChaosProxy::start(system.hub_port).await?,
            workers,
            system,
            analyser,
            postgres,
            rabbitmq,
            redis,
            images,
        })
    }

    pub(super) fn access(&self) -> Access {
        Access::of(&self.system, self.clients.port())
    }

    /// The network of a part. The hub's is that of its clients.
    pub(super) fn network(&self, target: Target) -> Result<&ChaosProxy> {
        let network = match target {
            Target::Hub => Some(&self.clients),
            Target::Worker => Some(&self.workers),
            Target::Database => self.postgres.as_ref().map(|it| &it.network),
            Target::Broker => self.rabbitmq.as_ref().map(|it| &it.network),
            Target::Redis => self.redis.as_ref().map(|it| &it.network),
        };
        network.with_context(|| format!("there is no {}", target.name()))
    }

    /// The process of a server of this set.
    pub(super) fn process(&mut self, target: Target) -> Result<&mut private_services::Server> {
        let process = match target {
            Target::Hub | Target::Worker => None,
            Target::Database => self.postgres.as_mut().map(|it| &mut it.server.process),
            Target::Broker => self.rabbitmq.as_mut().map(|it| &mut it.server.process),
            Target::Redis => self.redis.as_mut().map(|it| &mut it.server.process),
        };
        process.with_context(|| format!("there is no server {}", target.name()))
    }

    /// Copies what the services logged to where a person finds it.
    pub(super) fn keep_logs(&mut self, folder: &Path) -> Result<()> {
        std::fs::write(folder.join("services.log"), self.system.logs()?)?;
        let servers = [
            self.postgres.as_ref().map(|it| it.server.process.log()),
            self.rabbitmq.as_ref().map(|it| it.server.process.log()),
            self.redis.as_ref().map(|it| it.server.process.log()),
            self.images.as_ref().map(|it| it.process.log()),
        ];
        let servers = servers.map(Option::unwrap_or_default).join("\n");
        Ok(std::fs::write(folder.join("servers.log"), servers)?)
    }
}

/// Deadlines short enough that a run shows what lies behind them.
fn options(parts: Parts) -> SystemOptions {
    let text = str::to_owned;
    SystemOptions {
        parts: Some(parts),
        workers: WORKERS,
        quiet: true,
        hub: vec![
            ("Jobs__LeaseSeconds", text("4")),
            ("Jobs__MaxAttempts", text("5")),
            ("SignalR__KeepAliveInterval", text("2")),
            ("SignalR__ConnectionTimeout", text("20")),
        ],
        worker: vec![
            ("WebAPI__TimeoutSeconds", text("5")),
            ("WebAPI__BreakerPause", text("1")),
            ("Worker__PollSeconds", text("3")),
            ("Worker__Grace", text("5")),
            ("Worker__Concurrency", text("24")),
            ("N8N__TimeoutSeconds", text("8")),
            ("N8N__ParkSeconds", text("20")),
        ],
        ..SystemOptions::default()
    }
}

async fn if_wanted<T>(
    wanted: bool,
    start: impl Future<Output = Result<T, private_services::Error>>,
) -> Result<Option<T>> {
    Ok(if wanted { Some(start.await?) } else { None })
}

async fn behind_network<T>(server: Option<T>, port: fn(&T) -> u16) -> Result<Option<Server<T>>> {
    let Some(server) = server else {
        return Ok(None);
    };
    let network = ChaosProxy::start(port(&server)).await?;
    Ok(Some(Server { server, network }))
}
