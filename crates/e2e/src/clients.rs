//! The official npm client, run in a Node process by `clients/listen.mjs`.

use std::{
    collections::HashMap,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Notify, oneshot},
    time::timeout,
};

/// Nothing that a healthy system does takes as long.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// How one connection is made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionOptions {
    /// Names the connection in this process.
    pub connection: String,
    /// The hub's address.
    pub url: String,
    /// The user's token.
    pub token: String,
    /// `header` or `query`.
    pub token_in: &'static str,
    /// WebSockets at once, without a negotiate request.
    pub skip_negotiation: bool,
    /// `webSockets`, `serverSentEvents`, `longPolling`; what negotiation finds when `None`.
    pub transport: Option<&'static str>,
    /// `json` or `messagepack`.
    pub protocol: &'static str,
    /// Waits before each new try after a loss, in milliseconds; no tries when `None`.
    pub automatic_reconnect: Option<Vec<u64>>,
    /// Stateful reconnect.
    pub stateful_reconnect: bool,
    /// The server counts as lost after this silence, in milliseconds; 30 s when `None`.
    pub server_timeout: Option<u64>,
    /// The hub methods it listens to.
    pub events: Vec<String>,
}

impl ConnectionOptions {
    /// What an app does by default: negotiation, token in the header, JSON.
    #[must_use]
    pub fn new(connection: &str, url: &str, token: &str) -> Self {
        Self {
            connection: connection.to_owned(),
            url: url.to_owned(),
            token: token.to_owned(),
            token_in: "header",
            skip_negotiation: false,
            transport: None,
            protocol: "json",
            automatic_reconnect: None,
            stateful_reconnect: false,
            server_timeout: None,
            events: [
                "ReceiveAnalysisProgress",
                "ReceiveAnalysisCompleted",
                "ReceiveAnalysisFailed",
                "Pong",
            ]
            .map(str::to_owned)
            .to_vec(),
        }
    }

    /// WebSockets without negotiation.
    #[must_use]
    pub fn skip_negotiation(mut self) -> Self {
        self.skip_negotiation = true;
        self.transport = Some("webSockets");
        self
    }

    /// The token as `access_token` in the address, as browsers send it.
    #[must_use]
    pub fn token_in_query(mut self) -> Self {
        self.token_in = "query";
        self
    }

    /// Tries again at once and then each half second, for about a minute.
    #[must_use]
    pub fn reconnecting(mut self) -> Self {
        self.automatic_reconnect = Some([0].into_iter().chain([500; 120]).collect());
        self
    }

    /// Takes a silent server for lost sooner.
    #[must_use]
    pub fn server_timeout(mut self, silence: Duration) -> Self {
        self.server_timeout = u64::try_from(silence.as_millis()).ok();
        self
    }

    /// Listens to these hub methods only.
    #[must_use]
    pub fn listening_to(mut self, events: &[&str]) -> Self {
        self.events = events.iter().map(|event| (*event).to_owned()).collect();
        self
    }
}

/// What a connection told of itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Told {
    /// `event`, `reconnecting`, `reconnected` or `closed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The connection.
    pub connection: String,
    /// The hub method, for an event.
    pub name: Option<String>,
    /// Its arguments, for an event.
    #[serde(default)]
    pub arguments: Vec<Value>,
    /// Why, for a loss.
    pub error: Option<String>,
    /// When, in milliseconds since 1970.
    pub at: f64,
}

impl Told {
    /// Whether it is this event.
    #[must_use]
    pub fn is_event(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    /// Whether it is this event about this analysis.
    #[must_use]
    pub fn is_about(&self, name: &str, analysis: i64) -> bool {
        self.is_event(name) && self.payload()["analysisId"] == analysis
    }

    /// The event's first argument.
    #[must_use]
    pub fn payload(&self) -> &Value {
        self.arguments.first().unwrap_or(&Value::Null)
    }
}

/// A Node process with any number of connections.
#[derive(Debug, Clone)]
pub struct Clients {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stdin: tokio::sync::Mutex<ChildStdin>,
    next_id: AtomicU64,
    answers: Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>,
    told: Mutex<Vec<Told>>,
    more: Notify,
    /// Killed with the last handle.
    _child: Child,
}

impl Clients {
    /// Starts Node.
    pub fn start() -> Result<Self> {
        Self::start_warning_to(Stdio::inherit())
    }

    /// Starts Node, whose clients' warnings go there.
    pub fn start_warning_to(stderr: Stdio) -> Result<Self> {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/clients"));
        ensure!(
            folder.join("node_modules/@microsoft/signalr").is_dir(),
            "the official client is not installed: run npm ci in crates/e2e/clients (make test does)"
        );
        let mut node = Command::new("node");
        node.current_dir(folder)
            .arg("listen.mjs")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let mut child = node
            .kill_on_drop(true)
            .spawn()
            .context("node does not start")?;
        let stdin = child.stdin.take().context("node has no stdin")?;
        let stdout = child.stdout.take().context("node has no stdout")?;
        let shared = Arc::new(Shared {
            stdin: tokio::sync::Mutex::new(stdin),
            next_id: AtomicU64::new(1),
            answers: Mutex::default(),
            told: Mutex::default(),
            more: Notify::new(),
            _child: child,
        });
        tokio::spawn(read_lines(stdout, Arc::downgrade(&shared)));
        Ok(Self { shared })
    }

    /// Opens a connection and waits until it stands.
    pub async fn open(&self, options: ConnectionOptions) -> Result<Client> {
        let client = Client {
            name: options.connection.clone(),
            clients: self.clone(),
        };
        let mut command = serde_json::to_value(&options)?;
        command["do"] = json!("open");
        self.run(command)
            .await
            .with_context(|| format!("{} cannot connect", client.name))?;
        Ok(client)
    }

    async fn run(&self, mut command: Value) -> Result<Value> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        lock(&self.shared.answers).insert(id, sender);
        command["id"] = json!(id);
        let line = format!("{command}\n");
        self.shared
            .stdin
            .lock()
            .await
            .write_all(line.as_bytes())
            .await?;
        let answer = timeout(ANSWER_TIME, answer).await;
        let answer = answer.with_context(|| format!("no answer to {}", command["do"]))?;
        answer
            .context("node ended")?
            .map_err(|error| anyhow::anyhow!("{error}"))
    }
}

/// One connection of the official client.
#[derive(Debug, Clone)]
pub struct Client {
    name: String,
    clients: Clients,
}

impl Client {
    /// Calls a hub method and waits for its answer.
    pub async fn invoke(&self, method: &str, arguments: Value) -> Result<Value> {
        let command = json!({ "do": "invoke", "connection": self.name, "method": method, "arguments": arguments });
        self.clients.run(command).await
    }

    /// Calls a hub method without waiting.
    pub async fn send(&self, method: &str, arguments: Value) -> Result<Value> {
        let command = json!({ "do": "send", "connection": self.name, "method": method, "arguments": arguments });
        self.clients.run(command).await
    }

    /// Closes the connection in order.
    pub async fn stop(&self) -> Result<()> {
        self.clients
            .run(json!({ "do": "stop", "connection": self.name }))
            .await
            .map(drop)
    }

    /// All that it told so far.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        let told = lock(&self.clients.shared.told);
        told.iter()
            .filter(|told| told.connection == self.name)
            .cloned()
            .collect()
    }

    /// The sequences of the logged events that it received, in the order of their arrival.
    #[must_use]
    pub fn sequences(&self) -> Vec<i64> {
        self.told()
            .iter()
            .filter_map(|told| told.payload()["sequence"].as_i64())
            .collect()
    }

    /// The first of what it told, now or later, that fits.
    pub async fn wait_for(&self, within: Duration, fits: impl Fn(&Told) -> bool) -> Result<Told> {
        self.wait_until(within, |told| told.iter().find(|told| fits(told)).cloned())
            .await
    }

    /// Waits until all that it told shows what is looked for.
    pub async fn wait_until<T>(
        &self,
        within: Duration,
        find: impl Fn(&[Told]) -> Option<T>,
    ) -> Result<T> {
        let search = async {
            loop {
                let more = self.clients.shared.more.notified();
                tokio::pin!(more);
                more.as_mut().enable();
                if let Some(found) = find(&self.told()) {
                    return found;
                }
                more.await;
            }
        };
        match timeout(within, search).await {
            Ok(found) => Ok(found),
            Err(_) => bail!(
                "{} waited {within:?} in vain; it told {:#?}",
                self.name,
                self.told()
            ),
        }
    }
}

/// Takes the process's lines until it ends.
async fn read_lines(stdout: ChildStdout, shared: std::sync::Weak<Shared>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            eprintln!("node wrote {line}");
            continue;
        };
        if let Some(id) = message["id"].as_u64() {
            let answer = match message["error"].as_str() {
                Some(error) => Err(error.to_owned()),
                None => Ok(message["value"].clone()),
            };
            if let Some(waiting) = lock(&shared.answers).remove(&id) {
                // Whoever asked may have stopped waiting.
                let _ = waiting.send(answer);
            }
        } else if let Ok(told) = serde_json::from_value(message) {
            lock(&shared.told).push(told);
            shared.more.notify_waiters();
        }
    }
    if let Some(shared) = shared.upgrade() {
        lock(&shared.answers).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}
