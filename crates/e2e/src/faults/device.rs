//! The users' clients: light ones of the suite's own, which resume at a cursor,
//! and official ones, which know nothing of cursors.

use std::{
    fs::File,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use super::{Plan, ground::Access};
use crate::{Client, Clients, ConnectionOptions};

const END: char = '\u{1e}';
const LIGHT_EACH: usize = 2;
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// More than three of the hub's pings.
const SILENCE: Duration = Duration::from_secs(7);
const OWN_PING: Duration = Duration::from_secs(3);

/// All clients of all users.
pub(super) struct Devices {
    light: Vec<Arc<Device>>,
    official: Vec<(i64, Client)>,
    tasks: JoinSet<()>,
}

/// A light client and what it received.
pub(super) struct Device {
    user: i64,
    url: String,
    received: Mutex<Received>,
}

/// What a client received.
#[derive(Debug, Clone, Default)]
pub(super) struct Received {
    /// The notification id of each sequence, from 1, as they were first received.
    pub(super) ids: Vec<i64>,
    /// Notifications that it had already.
    pub(super) repeats: usize,
    /// When its connections stood.
    pub(super) connected: Vec<Instant>,
    /// Connections that the hub ended with the word that it may be come back.
    pub(super) told_to_reconnect: usize,
    /// What must not be.
    pub(super) faults: Vec<String>,
    epoch: Option<String>,
}

impl Devices {
    /// One user in ten has an official client and no other, so that nothing but
    /// the hub's own knowledge brings them what they missed. All others have
    /// two light ones.
    pub(super) async fn start(plan: &Plan, access: &Arc<Access>) -> Result<Self> {
        let url = format!("http://{}", access.client_hub());
        let warnings = File::create(plan.folder.join("clients.log"))?;
        let clients = Clients::start_warning_to(warnings.into())?;
        let mut devices = Self::none();
        for user in 1..=i64::try_from(plan.users)? {
            if user % 10 != 1 {
                for _ in 0..LIGHT_EACH {
                    devices.add_light(user, access);
                }
                continue;
            }
            let name = format!("official-{user}");
            let events = [
                "ReceiveAnalysisCompleted",
                "ReceiveAnalysisFailed",
                "ReportReady",
            ];
            let options = ConnectionOptions::new(&name, &url, &access.issuer.token(user))
                .listening_to(&events)
                .server_timeout(SILENCE)
                .reconnecting();
            devices.official.push((user, clients.open(options).await?));
        }
        Ok(devices)
    }

    pub(super) fn none() -> Self {
        Self {
            light: Vec::new(),
            official: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Another light client, which goes on until this is dropped.
    pub(super) fn add_light(&mut self, user: i64, access: &Access) {
        let token = access.issuer.token(user);
        let device = Arc::new(Device {
            user,
            url: format!("ws://{}?access_token={token}", access.client_hub()),
            received: Mutex::default(),
        });
        self.light.push(Arc::clone(&device));
        self.tasks.spawn(async move { device.run().await });
    }

    /// What each client received, with its user.
    pub(super) fn received(&self) -> Vec<(i64, Received)> {
        let light = self.light.iter();
        let light = light.map(|device| (device.user, device.received().clone()));
        let official = self.official.iter();
        let official = official.map(|(user, client)| (*user, told(*user, client)));
        light.chain(official).collect()
    }

    /// Waits until every light client has connected once.
    pub(super) async fn await_connected(&self) {
        let waits = |device: &Arc<Device>| device.received().connected.is_empty();
        while self.light.iter().any(waits) {
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until every client of a user has received this many.
    pub(super) async fn await_received(&self, user: i64, head: usize) {
        let light = self.light.iter().filter(|device| device.user == user);
        let official = self.official.iter().filter(|(owner, _)| *owner == user);
        let (light, official): (Vec<_>, Vec<_>) = (light.collect(), official.collect());
        let behind = || {
            light
                .iter()
                .any(|device| device.received().ids.len() < head)
                || official
                    .iter()
                    .any(|(user, client)| told(*user, client).ids.len() < head)
        };
        while behind() {
            sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Device {
    fn received(&self) -> std::sync::MutexGuard<'_, Received> {
        self.received.lock().expect("no holder of this lock panics")
    }

    async fn run(&self) {
        loop {
            // Whatever ended the connection: what counts is what the next one brings.
            let _ = self.connect().await;
            let wait = 100 + rand::random::<u64>() % 400;
            sleep(Duration::from_millis(wait)).await;
        }
    }

    async fn connect(&self) -> Result<()> {
        let (mut socket, _) = timeout(CONNECT_TIME, connect_async(&self.url)).await??;
        let handshake = format!("{{\"protocol\":\"json\",\"version\":1}}{END}");
        socket.send(Message::text(handshake)).await?;
        let resume = json!({
            "type": 1, "invocationId": "1", "target": "Resume", "arguments": [self.cursor()],
        });
        socket.send(Message::text(format!("{resume}{END}"))).await?;
        self.received().connected.push(Instant::now());
        let mut pings = interval(OWN_PING);
        let mut heard = Instant::now();
        loop {
            let message = tokio::select! {
                message = socket.next() => message.context("the hub closed")??,
                _ = pings.tick() => {
                    ensure!(heard.elapsed() < SILENCE, "the hub is silent");
                    let ping = format!("{{\"type\":6}}{END}");
                    timeout(CONNECT_TIME, socket.send(Message::text(ping))).await??;
                    continue;
                }
            };
            heard = Instant::now();
            if let Message::Text(text) = message {
                for record in text.split_terminator(END) {
                    self.take(&serde_json::from_str(record)?)?;
                }
            }
        }
    }

    fn cursor(&self) -> Value {
        let received = self.received();
        match &received.epoch {
            Some(epoch) => json!(format!("{epoch}:{}", received.ids.len())),
            None => json!(0),
        }
    }

    fn take(&self, message: &Value) -> Result<()> {
        let mut received = self.received();
        match message["type"].as_i64() {
            Some(1) => received.take(self.user, &message["arguments"][0]),
            Some(3) => {
                let resumed = &message["result"];
                // While the database is away the hub cannot resume: it is tried again.
                let epoch = resumed["epoch"].as_str().context("no resume")?;
                if received.epoch.get_or_insert_with(|| epoch.to_owned()) != epoch {
                    received.fault(format!("the log's epoch changed to {epoch}"));
                }
                if resumed["complete"] != true {
                    received.fault(format!("a resume was not complete: {resumed}"));
                }
            }
            Some(7) => {
                received.told_to_reconnect += usize::from(message["allowReconnect"] == true);
                bail!("closed by the hub: {message}");
            }
            _ => {}
        }
        Ok(())
    }
}

impl Received {
    fn take(&mut self, user: i64, payload: &Value) {
        let (Some(sequence), Some(id)) = (
            payload["sequence"].as_i64(),
            payload["notificationId"].as_i64(),
        ) else {
            // Progress has neither.
            return;
        };
        if payload["userId"] != user {
            self.fault(format!("user {user} received what is another's: {payload}"));
        }
        let newest = i64::try_from(self.ids.len()).unwrap_or(i64::MAX);
        if sequence == newest + 1 {
            self.ids.push(id);
        } else if sequence <= newest {
            self.repeats += 1;
        } else {
            self.fault(format!(
                "user {user} received {sequence} while {} was missing",
                newest + 1
            ));
        }
    }

    fn fault(&mut self, what: String) {
        self.faults.push(what);
    }
}

/// What an official client received, judged by the same rules.
fn told(user: i64, client: &Client) -> Received {
    let mut received = Received::default();
    received.connected.push(Instant::now());
    for told in client.told() {
        match told.kind.as_str() {
            "event" => received.take(user, told.payload()),
            "reconnected" => received.connected.push(Instant::now()),
            "closed" => received.fault(format!("the official client of user {user} gave up")),
            _ => {}
        }
    }
    received
}
