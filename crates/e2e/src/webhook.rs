//! An n8n-like webhook server whose delay and failures a test sets.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use anyhow::{Result, ensure};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, sleep},
};

/// The server. It ends when it is dropped.
#[derive(Debug)]
pub struct Webhook {
    port: u16,
    shared: Arc<Mutex<Shared>>,
    _task: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    delay: Duration,
    status: StatusCode,
    answer: Value,
    calls: BTreeMap<String, usize>,
    answers: usize,
    /// The address for answers that came with the last call.
    result_url: Option<String>,
}

impl Webhook {
    /// Listens on a free port and answers each call after `delay` with a result.
    pub async fn start(delay: Duration) -> Result<Self> {
        let port = crate::ports::free_port()?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let shared = Arc::new(Mutex::new(Shared {
            delay,
            status: StatusCode::OK,
            answer: json!({
                "overallHealthScore": 62,
                "primaryConcern": "Leaf rust",
                "cropType": "wheat",
                "confidence": 0.9,
            }),
            calls: BTreeMap::new(),
            answers: 0,
            result_url: None,
        }));
        let router = Router::new()
            .route("/webhook/plant-analysis", post(answer))
            .layer(DefaultBodyLimit::max(32 * 1024 * 1024))
            .with_state(Arc::clone(&shared));
        let mut task = JoinSet::new();
        task.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the webhook server ended: {error}");
            }
        });
        Ok(Self {
            port,
            shared,
            _task: task,
        })
    }

    /// Its address, for `N8N__WebhookUrl`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhook/plant-analysis", self.port)
    }

    /// Sets how long calls that come from now on take.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Sets what calls are answered from now on.
    pub fn set_answer(&self, status: StatusCode, answer: Value) {
        let mut shared = self.lock();
        shared.status = status;
        shared.answer = answer;
    }

    /// How often it was called with each idempotency key.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, usize> {
        self.lock().calls.clone()
    }

    /// Waits until it was called this often.
    pub async fn await_calls(&self, calls: usize, within: Duration) -> Result<()> {
        self.wait(within, |shared| {
            shared.calls.values().sum::<usize>() >= calls
        })
        .await
    }

    /// The `resultUrl` that came with the last call.
    #[must_use]
    pub fn result_url(&self) -> Option<String> {
        self.lock().result_url.clone()
    }

    /// Waits until it has answered this often.
    pub async fn await_answers(&self, answers: usize, within: Duration) -> Result<()> {
        self.wait(within, |shared| shared.answers >= answers).await
    }

    async fn wait(&self, within: Duration, fits: impl Fn(&Shared) -> bool) -> Result<()> {
        let deadline = Instant::now() + within;
        while !fits(&self.lock()) {
            ensure!(
                Instant::now() < deadline,
                "the webhook waited {within:?} in vain: {:?}",
                self.lock()
            );
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

/// The whole body is read first, as n8n does.
async fn answer(
    State(shared): State<Arc<Mutex<Shared>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (delay, status, answer) = {
        let mut shared = lock(&shared);
        let key = headers
            .get("idempotency-key")
            .and_then(|key| key.to_str().ok());
        *shared
            .calls
            .entry(key.unwrap_or("(none)").to_owned())
            .or_default() += 1;
        shared.result_url = field(&body, "resultUrl");
        (shared.delay, shared.status, shared.answer.to_string())
    };
    sleep(delay).await;
    lock(&shared).answers += 1;
    (status, [(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

/// The text of a form field.
fn field(form: &[u8], name: &str) -> Option<String> {
    let form = String::from_utf8_lossy(form);
    let (_, rest) = form.split_once(&format!("name=\"{name}\""))?;
    let (_, value) = rest.split_once("\r\n\r\n")?;
    Some(value.split("\r\n--").next()?.to_owned())
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("no holder of this lock panics")
}
