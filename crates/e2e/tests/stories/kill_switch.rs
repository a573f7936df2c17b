//! Switches turned under load: what 500 clients see, and that nothing is lost.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{Api, Client, Clients, ConnectionOptions, System, SystemOptions, log_check};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep},
};

const USERS: i64 = 500;
const PATIENCE: Duration = Duration::from_secs(240);
const NEGOTIATE: &str = "/hubs/plantanalysis/negotiate?negotiateVersion=1";
const SWITCHES: &str = "/api/admin/switches";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_clients_leave_and_come_back_and_nothing_is_lost() -> Result<()> {
    let system = System::start_default().await?;
    let clients = Clients::start()?;
    let devices = connect_all(&system, &clients).await?;
    let operator = Api::new(system.url(), system.issuer.operator());
    let load = Load::start(&system);
    sleep(Duration::from_secs(2)).await;

    // The kill switch.
    turn(&operator, json!({"enableSignalR": false})).await?;
    all_told(&devices, "reconnecting", 1).await?;
    for device in devices.values() {
        let told = device.told();
        let left = told.iter().find(|told| told.kind == "reconnecting");
        let why = left.and_then(|told| told.error.clone()).unwrap_or_default();
        ensure!(why.contains("switched off"), "a client was told {why:?}");
    }
    connected(&operator, |open| open == 0).await?;
    let refused = system.api(1).request(Method::POST, NEGOTIATE).send();
    let refused = refused.await?;
    ensure!(refused.status() == StatusCode::SERVICE_UNAVAILABLE);
    ensure!(refused.headers().contains_key("retry-after"));
    // Everything else goes on: notifications are logged, and users can poll.
    let before = system.api(1).whole_log().await?.len();
    longer_log(&system.api(1), before).await?;
    turn(&operator, json!({"enableSignalR": true})).await?;
    all_told(&devices, "reconnected", 1).await?;

    // The rollout, to a half and back.
    turn(&operator, json!({"realtimeRolloutPercent": 50})).await?;
    connected(&operator, |open| (190..=310).contains(&open)).await?;
    sleep(Duration::from_secs(3)).await;
    connected(&operator, |open| (190..=310).contains(&open)).await?;
    let mut outside = 0;
    for user in 1..=20 {
        let answer = system.api(user).request(Method::POST, NEGOTIATE).send();
        let answer: Value = answer.await?.error_for_status()?.json().await?;
        outside += i32::from(answer["error"].is_string());
    }
    ensure!((1..20).contains(&outside), "{outside} of 20 are outside");
    turn(&operator, json!({"realtimeRolloutPercent": 100})).await?;
    connected(&operator, |open| open == USERS).await?;

    let logged = load.stop().await?;
    let total: i64 = logged.values().sum();
    eprintln!("{total} notifications were logged while the switches were turned");
    for (user, head) in &logged {
        let device = &devices[user];
        device
            .wait_until(PATIENCE, |_| {
                let got = crate::without_repeats(&device.sequences()).len();
                (got as i64 >= *head).then_some(())
            })
            .await
            .with_context(|| format!("user {user}, head {head}"))?;
        log_check::check_received(&device.sequences(), *head)
            .with_context(|| format!("user {user}"))?;
        for told in device.told() {
            let to = &told.payload()["to"];
            ensure!(to.is_null() || to == user, "user {user} heard {told:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_hang_up_reads_the_switches_from_the_file() -> Result<()> {
    let mut system = System::prepare(SystemOptions::default()).await?;
    let file = system.folder().join("hub-api.toml");
    let write = |on: bool| {
        let text = format!("[switches]\nenable_signalr = {on}\n[log]\nfilter = \"debug\"\n");
        std::fs::write(&file, text)
    };
    write(true)?;
    system.start_services().await?;
    let operator = Api::new(system.url(), system.issuer.operator());
    write(false)?;
    system.hubs()[0].hang_up().await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let view: Value = operator.get(SWITCHES).await?;
        if view["enableSignalR"] == false {
            break;
        }
        ensure!(Instant::now() < deadline, "nothing has changed: {view}");
        sleep(Duration::from_millis(50)).await;
    }
    // What cannot be read changes nothing.
    std::fs::write(&file, "[switches]\nenable_signalr = \"perhaps\"\n")?;
    system.hubs()[0].hang_up().await?;
    let deadline = Instant::now() + PATIENCE;
    while !system.logs()?.contains("switches.reload_failed") {
        ensure!(
            Instant::now() < deadline,
            "no word of the file that is wrong"
        );
        sleep(Duration::from_millis(50)).await;
    }
    let view: Value = operator.get(SWITCHES).await?;
    ensure!(view["enableSignalR"] == false, "{view}");
    system.stop_hub().await
}

async fn connect_all(system: &System, clients: &Clients) -> Result<Arc<BTreeMap<i64, Client>>> {
    let at_once = Arc::new(Semaphore::new(25));
    let mut opening = JoinSet::new();
    for user in 1..=USERS {
        let token = system.issuer.token(user);
        let name = format!("user {user}");
        let mut options = ConnectionOptions::new(&name, &system.hub_url(), &token);
        options = options.listening_to(&["ReportReady"]);
        // Not all at the same moment, and for longer than the switches are off.
        let wait = 1_000 + u64::try_from(user)?;
        options.automatic_reconnect = Some([0].into_iter().chain([wait; 120]).collect());
        let (clients, at_once) = (clients.clone(), Arc::clone(&at_once));
        opening.spawn(async move {
            let _permit = at_once.acquire().await?;
            anyhow::Ok((user, clients.open(options).await?))
        });
    }
    let mut devices = BTreeMap::new();
    while let Some(opened) = opening.join_next().await {
        let (user, device) = opened??;
        devices.insert(user, device);
    }
    Ok(Arc::new(devices))
}

/// Notifications for all users, one after another; what was accepted is noted here.
struct Load {
    running: Arc<AtomicBool>,
    task: JoinHandle<Result<BTreeMap<i64, i64>>>,
}

impl Load {
    fn start(system: &System) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let on = Arc::clone(&running);
        let url = format!("{}/internal/notify", system.url());
        let secret = system.internal_secret.clone();
        let task = tokio::spawn(async move {
            let http = reqwest::Client::builder().no_proxy().build()?;
            let mut logged = BTreeMap::new();
            let mut user = 0;
            while on.load(Ordering::Relaxed) {
                let posts = (0..10).map(|_| {
                    user = user % USERS + 1;
                    let body =
                        json!({"event": "ReportReady", "userId": user, "payload": {"to": user}});
                    let post = http.post(&url).header("X-Internal-Secret", &secret);
                    let user = user;
                    async move {
                        let sent = post.json(&body).send().await?.error_for_status()?;
                        let accepted: Value = sent.json().await?;
                        let sequence = accepted["sequence"].as_i64().context("no sequence")?;
                        anyhow::Ok((user, sequence))
                    }
                });
                for accepted in futures_util::future::join_all(posts).await {
                    let (user, sequence) = accepted?;
                    logged.insert(user, sequence);
                }
                sleep(Duration::from_millis(50)).await;
            }
            Ok(logged)
        });
        Self { running, task }
    }

    /// The head of each user's log.
    async fn stop(self) -> Result<BTreeMap<i64, i64>> {
        self.running.store(false, Ordering::Relaxed);
        self.task.await?
    }
}

async fn turn(operator: &Api, change: Value) -> Result<()> {
    let sent = operator.request(Method::PATCH, SWITCHES).json(&change);
    sent.send().await?.error_for_status()?;
    Ok(())
}

/// Waits until every device told this so often.
async fn all_told(devices: &BTreeMap<i64, Client>, kind: &str, times: usize) -> Result<()> {
    for (user, device) in devices {
        device
            .wait_until(PATIENCE, |told| {
                let count = told.iter().filter(|told| told.kind == kind).count();
                (count >= times).then_some(())
            })
            .await
            .with_context(|| format!("user {user} was to be {kind}"))?;
    }
    Ok(())
}

/// Waits until a user's log holds more than it did.
async fn longer_log(user: &Api, before: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while user.whole_log().await?.len() <= before {
        ensure!(Instant::now() < deadline, "{before} are logged, as before");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Waits until so many clients are connected.
async fn connected(operator: &Api, wanted: impl Fn(i64) -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let figures: Value = operator.get("/api/internal/signalr/metrics").await?;
        let open = figures["currentConnections"].as_i64().unwrap_or(-1);
        if wanted(open) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{open} are connected");
        sleep(Duration::from_millis(100)).await;
    }
}
