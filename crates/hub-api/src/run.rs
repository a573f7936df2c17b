//! Builds the hub from its parts, runs it, and takes it down in order.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;
use signalr::TokenKey;
use signalr_redis::{OptionsError, RedisLink};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{Entrance, Jwks, JwksError, KeyError, Verifier},
    config::{Config, S3Config},
    delivery::{Delivery, DeliverySettings},
    http::{self, AppParts, AppState, Finishing, Guard, Health, Memory, Scrape},
    hub::{operations, plant_analysis},
    images::{ImageStore, ImageStoreError, S3Settings},
    jobs::{self, ReadyJobs},
    lifecycle::{Shutdown, TaskEnd, Tasks},
    limits::UserLimits,
    links::{Links, derive_key},
    metrics::Metrics,
    nodes::{self, Nodes},
    queue::Queue,
    serve::{self, Limits, Listeners},
    store::{Store, StoreError, StoreOptions, WriterTask},
    switches::{Switches, close_those_who_may_not_stay, reload_on_hangup},
};

const PUBLIC: &str = "public listener";
const INTERNAL: &str = "internal listener";
const WRITER: &str = "store writer";
const NODES: &str = "other nodes";

/// For telling the other hubs of what was written last.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why the hub did not start, or left on its own.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The folder of data cannot be made.
    #[error("cannot make the folder {path}")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A setting was not checked before.
    #[error("the setting {0} is missing")]
    MissingSetting(&'static str),
    /// A key of tokens cannot be read.
    #[error("cannot use the configured keys")]
    Keys(#[from] KeyError),
    /// The issuer's published keys cannot be asked for.
    #[error("cannot use the issuer's published keys")]
    Jwks(#[from] JwksError),
    /// The folder or bucket of images cannot be used.
    #[error("cannot open the image store")]
    Images(#[from] ImageStoreError),
    /// The database cannot be used.
    #[error("cannot open the database")]
    Store(#[from] StoreError),
    /// The broker's settings cannot be used.
    #[error("cannot use the broker")]
    Broker(#[from] broker::SetupError),
    /// Redis' address cannot be used.
    #[error("cannot use the address of Redis")]
    Redis(#[from] OptionsError),
    /// The hub's limits make no sense.
    #[error("cannot build the hub")]
    Hub(#[from] signalr::BuildError),
    /// A listener is gone.
    #[error("a listening socket has no address")]
    Listener(#[source] io::Error),
    /// A task that the hub cannot do without has ended.
    #[error("the task {name} ended{}", .error.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    TaskEnded {
        /// Which one.
        name: &'static str,
        /// What it failed with.
        error: Option<String>,
    },
}

/// Tokens by which parts are stopped, one after the other.
#[derive(Debug, Default)]
struct Stops {
    public: CancellationToken,
    internal: CancellationToken,
    background: CancellationToken,
    /// Redis is left last: what is written until then is told to other hubs.
    nodes: CancellationToken,
}

/// Runs the hub on `listeners` until `shutdown`, or until a part fails.
///
/// # Errors
/// [`RunError`] when it cannot start, or when a part of it failed.
pub async fn run(
    mut config: Config,
    listeners: Listeners,
    shutdown: Shutdown,
) -> Result<(), RunError> {
    let address = listeners.public.local_addr().map_err(RunError::Listener)?;
    if config.public_url.is_none() {
        config.public_url = Some(format!("http://localhost:{}", address.port()));
    }
    let config = Arc::new(config);
    announce(&config, address);
    let mut tasks = Tasks::new();
    let stops = Stops::default();
    let queue = Queue::from_config(&config)?;
    let jwks = Jwks::from_config(&config.jwt)?;
    if let Some(jwks) = &jwks {
        let keep_up = Arc::clone(jwks).keep_up(stops.background.clone());
        tasks.spawn("issuer's keys", keep_up);
    }
    let (state, hub, writer) =
        build(Arc::clone(&config), shutdown.clone(), queue.as_ref(), jwks).await?;
    let store = state.store.clone();
    tasks.spawn(WRITER, writer);
    let keep_time = jobs::keep_time(
        store.clone(),
        Arc::clone(state.metrics.notifications()),
        Arc::clone(&state.ready_jobs),
        stops.background.clone(),
    );
    tasks.spawn("job clock", keep_time);
    tasks.spawn(
        "purge",
        jobs::purge(
            store.clone(),
            config.notifications,
            stops.background.clone(),
        ),
    );
    settle_pictures(&mut tasks, &state, &stops);
    if let Some(queue) = &queue {
        queue.spawn(&mut tasks, &store, &stops.background);
    }
    follow_switches(&mut tasks, &state, &hub, &stops);
    let tell = state.operations.clone();
    let tell = tell.tell(state.clone(), stops.background.clone());
    tasks.spawn("operators' figures", tell);
    join_others(&mut tasks, &state, &stops);
    let unresumed = state.delivery.clone();
    let unresumed = unresumed.serve_unresumed(stops.nodes.clone());
    tasks.spawn("unresumed clients", unresumed);
    listen(&mut tasks, &state, &hub, listeners, (&stops, &shutdown));

    let failed = tokio::select! {
        () = shutdown.draining().clone().cancelled_owned() => None,
        ended = tasks.ended() => ended,
    };
    if let Some(end) = &failed {
        tracing::error!(
            task = end.name,
            error = end.error,
            "a vital task ended; leaving"
        );
        shutdown.begin();
    }
    let left = tokio::select! {
        () = leave(&state, &mut tasks, &stops) => true,
        () = shutdown.killed().clone().cancelled_owned() => false,
    };
    // What was accepted is on the disk. What waits for the database now was
    // never answered, so the hub does not wait for it without end.
    let patience = if left { config.drain.grace } else { LAST_WORDS };
    let closed = tokio::select! {
        () = store.close() => true,
        () = shutdown.killed().clone().cancelled_owned(), if left => false,
        () = tokio::time::sleep(patience) => false,
    };
    if !closed {
        tracing::warn!(
            "the database did not take the last receipts; clients may get some notifications again"
        );
    }
    stops.nodes.cancel();
    ended(&mut tasks, NODES, LAST_WORDS).await;
    tracing::info!(kindly = left, "the hub has left");
    match failed {
        None => Ok(()),
        Some(TaskEnd { name, error }) => Err(RunError::TaskEnded { name, error }),
    }
}

/// The lines that the documents' start-up checks look for.
fn announce(config: &Config, address: SocketAddr) {
    use secrecy::ExposeSecret as _;
    let length = |secret: &Option<SecretString>| {
        secret
            .as_ref()
            .map_or(0, |secret| secret.expose_secret().chars().count())
    };
    tracing::info!(
        environment = %config.environment,
        port = address.port(),
        public_url = config.public_url.as_deref(),
        internal_secret_length = length(&config.internal.secret),
        jwt_secret_length = length(&config.jwt.secret),
        hub = plant_analysis::PATH,
        "hub-api starts"
    );
    tracing::info!(
        "[HUB] hub-api starting in {} environment",
        config.environment
    );
    tracing::info!(
        "Internal secret loaded - Length: {}",
        length(&config.internal.secret)
    );
    if let Some(url) = &config.public_url {
        tracing::info!("SignalR hub: {url}{}", plant_analysis::PATH);
    }
    if config.internal.allowed_ips.is_empty() && !config.environment.is_development() {
        tracing::warn!(
            limit = config.internal.requests_per_minute,
            "no allow-list for internal calls: each source may make so many a minute; \
             set Security__AllowedInternalIPs__0 to the workers' network"
        );
    }
}

async fn build(
    config: Arc<Config>,
    shutdown: Shutdown,
    queue: Option<&Queue>,
    jwks: Option<Arc<Jwks>>,
) -> Result<(AppState, signalr::HubServer, WriterTask), RunError> {
    let data_dir = config.data_dir.clone();
    tokio::fs::create_dir_all(&data_dir)
        .await
        .map_err(|source| RunError::DataDir {
            path: data_dir,
            source,
        })?;
    let secret = config
        .internal
        .secret
        .clone()
        .ok_or(RunError::MissingSetting("internal.secret"))?;
    let base = config
        .public_url
        .clone()
        .ok_or(RunError::MissingSetting("public_url"))?;
    let previous = config.internal.previous_secret.as_ref();
    let links = Links::new(&base, &secret, config.images.link_lifetime).accepting(previous);
    let settings = DeliverySettings {
        event_names: config.notifications.event_names,
        confirm: config.receipts.confirm,
    };
    let metrics = Arc::new(Metrics::default());
    let figures = Arc::clone(metrics.notifications());
    let delivery = Delivery::new(settings, links.clone(), nodes(&config)?, figures);
    let switches = Switches::new(&config.switches);
    let images = open_images(&config).await?;
    let options = StoreOptions {
        max_attempts: config.jobs.max_attempts,
        job_deadline: config.jobs.deadline,
        readers: config.database.pool_size,
        ..StoreOptions::on(config.database_location()?)
    };
    tracing::info!(database = %options.location, "opening the database");
    let (store, writer) = Store::open(options, delivery.hook()).await?;
    let token_key = |secret| TokenKey::new(derive_key(secret, "tendril connection tokens 1"));
    let token_key = match previous {
        Some(previous) => token_key(&secret).accepting(&token_key(previous)),
        None => token_key(&secret),
    };
    let limits = Arc::new(UserLimits::new(config.limits));
    let (allowed, settings) = (Arc::clone(&limits), config.signalr);
    let hub = plant_analysis::build(
        delivery.clone(),
        settings,
        token_key,
        allowed,
        &metrics,
        switches.clone(),
    )?;
    delivery.serve(store.clone(), hub.clone(), plant_analysis::PATH);
    let operators_key = TokenKey::new(derive_key(
        &secret,
        "tendril operators' connection tokens 1",
    ));
    let operations = operations::build(&config.signalr, operators_key, hub.clone())?;
    let health = Health::new(
        store.clone(),
        images.clone(),
        delivery.clone(),
        queue.map(Queue::status),
        shutdown.clone(),
        switches.clone(),
        jwks.clone(),
    );
    let entrance = Arc::new(Entrance::new(&config, Verifier::new(&config.jwt, jwks)?));
    let state = AppState::from(AppParts {
        guard: Arc::new(Guard::new(&config.internal, Arc::clone(&entrance))),
        entrance,
        limits,
        ready_jobs: Arc::new(ReadyJobs::default()),
        upload_memory: Memory::new(config.upload.max_memory),
        finishing: Finishing::default(),
        waiting_leases: Arc::new(Semaphore::new(config.internal.max_waiting_leases)),
        health: Arc::new(health),
        scrape: Arc::new(Scrape::new(Arc::clone(&metrics), queue.map(Queue::status))),
        metrics,
        switches,
        operations,
        shutdown,
        config,
        store,
        images,
        in_doubt: Arc::default(),
        delivery,
        links,
    });
    Ok((state, hub, writer))
}

/// The bucket, where one is given, or the folder of images.
pub(crate) async fn open_images(config: &Config) -> Result<ImageStore, RunError> {
    let S3Config {
        bucket: Some(bucket),
        endpoint,
        region,
        access_key: Some(access_key),
        secret_key: Some(secret_key),
        prefix,
    } = config.s3.clone()
    else {
        return Ok(ImageStore::local(config.images_dir()).await?);
    };
    tracing::info!(bucket, endpoint, "images are kept in a bucket");
    Ok(ImageStore::s3(&S3Settings {
        endpoint,
        bucket,
        region,
        access_key,
        secret_key,
        prefix,
    })?)
}

/// The other hubs, where Redis is to be used.
fn nodes(config: &Config) -> Result<Nodes, RunError> {
    let Some(options) = config.redis.options()? else {
        if config.redis.url.is_some() {
            tracing::info!("an address of Redis is set, and UseRedis is not: this hub is alone");
        }
        return Ok(Nodes::alone());
    };
    tracing::info!(
        redis = options.address(),
        tls = options.tls,
        channel_prefix = options.channel_prefix,
        hub = config.redis.hub_name,
        "hubs find each other by Redis"
    );
    let link = RedisLink::open(options)?;
    Ok(Nodes::on_redis(link, config.redis.hub_name.clone()))
}

/// Starts what turns clients out that may not stay, and listens to SIGHUP.
fn follow_switches(tasks: &mut Tasks, state: &AppState, hub: &signalr::HubServer, stops: &Stops) {
    let (switches, stop) = (state.switches.clone(), stops.background.clone());
    let close = close_those_who_may_not_stay(switches.clone(), hub.clone(), stop.clone());
    tasks.spawn("switches", close);
    if let Some(sources) = state.config.sources.clone() {
        tasks.spawn("settings", reload_on_hangup(switches, sources, stop));
    }
}

/// Starts what finds out which pictures nothing names.
fn settle_pictures(tasks: &mut Tasks, state: &AppState, stops: &Stops) {
    let (in_doubt, stop) = (Arc::clone(&state.in_doubt), stops.background.clone());
    let (store, images) = (state.store.clone(), state.images.clone());
    let settle = async move { in_doubt.settle(store, images, stop).await };
    tasks.spawn("pictures in doubt", settle);
}

/// Starts what makes this hub one of several.
fn join_others(tasks: &mut Tasks, state: &AppState, stops: &Stops) {
    let (delivery, store) = (state.delivery.clone(), state.store.clone());
    let nodes = delivery.nodes().clone();
    let hear = nodes.clone().run(
        delivery.clone(),
        state.switches.clone(),
        stops.nodes.clone(),
    );
    tasks.spawn(NODES, hear);
    let interval = state.config.nodes.sweep;
    if !interval.is_zero() && store.is_shared() {
        let stop = stops.background.clone();
        tasks.spawn(
            "sweep",
            nodes::sweep(nodes, delivery, store, interval, stop),
        );
    }
}

fn listen(
    tasks: &mut Tasks,
    state: &AppState,
    hub: &signalr::HubServer,
    listeners: Listeners,
    (stops, shutdown): (&Stops, &Shutdown),
) {
    let server = &state.config.server;
    let limits = Limits {
        connections: server.max_connections,
        first_byte: server.first_byte_timeout,
        header: server.header_timeout,
        idle: server.idle_timeout,
    };
    let routers = http::routers(state, hub);
    let serve = |listener, router, stop: &CancellationToken| {
        let (stop, kill) = (stop.clone(), shutdown.killed().clone());
        let finishing = state.finishing.clone();
        async move {
            serve::serve(listener, router, limits, stop, kill).await?;
            finishing.ended().await;
            Ok::<_, io::Error>(())
        }
    };
    tasks.spawn(
        PUBLIC,
        serve(listeners.public, routers.public, &stops.public),
    );
    if let (Some(listener), Some(router)) = (listeners.internal, routers.internal) {
        tasks.spawn(INTERNAL, serve(listener, router, &stops.internal));
    }
}

/// Leaves in order: clients first, the internal link last.
async fn leave(state: &AppState, tasks: &mut Tasks, stops: &Stops) {
    let drain = state.config.drain;
    tracing::info!(delay = ?drain.delay, "not ready any more; serving on");
    tokio::time::sleep(drain.delay).await;
    let operators = state.operations.server.drain(Duration::ZERO);
    tokio::join!(state.delivery.drain(drain.spread), operators);
    stops.public.cancel();
    ended(tasks, PUBLIC, drain.grace).await;
    stops.internal.cancel();
    ended(tasks, INTERNAL, drain.grace).await;
    stops.background.cancel();
}

/// Waits for the task `name` to end, for at most `grace`.
async fn ended(tasks: &mut Tasks, name: &'static str, grace: Duration) {
    let wait = async { while tasks.is_running(name) && tasks.ended().await.is_some() {} };
    if timeout(grace, wait).await.is_err() {
        tracing::warn!(
            task = name,
            "what was under way took too long and is dropped"
        );
    }
}
