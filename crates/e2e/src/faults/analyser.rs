//! The suite's webhook server: an analysis that takes its time, fails, answers
//! nonsense, breaks off, hangs, or answers 202 and posts its result later. What
//! it does with a call is drawn from the seed and the call's key.

use std::{
    collections::HashMap,
    convert::Infallible,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Result;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Multipart, State},
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures_util::stream;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

const RESULT_TRIES: usize = 30;

/// The server. It ends when it is dropped.
pub(super) struct Analyser {
    port: u16,
    _task: JoinSet<()>,
}

#[derive(Clone)]
struct Shared {
    seed: u64,
    calls: Arc<Mutex<HashMap<String, u32>>>,
    http: reqwest::Client,
}

impl Analyser {
    pub(super) async fn start(seed: u64) -> Result<Self> {
        let port = crate::ports::free_port()?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let shared = Shared {
            seed,
            calls: Arc::default(),
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .build()?,
        };
        let router = Router::new()
            .route("/webhook", post(answer))
            .layer(DefaultBodyLimit::max(32 * 1024 * 1024))
            .with_state(shared);
        let mut task = JoinSet::new();
        task.spawn(async move {
            // It ends with the run.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { port, _task: task })
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhook", self.port)
    }
}

async fn answer(State(shared): State<Shared>, mut form: Multipart) -> Response {
    let mut fields = HashMap::new();
    while let Ok(Some(field)) = form.next_field().await {
        let name = field.name().unwrap_or_default().to_owned();
        // The photo is read, too, as n8n does.
        let Ok(bytes) = field.bytes().await else {
            break;
        };
        if name != "image" {
            fields.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    let key = fields.remove("idempotencyKey").unwrap_or_default();
    let call = {
        let mut calls = shared.calls.lock().expect("no holder of this lock panics");
        let call = calls.entry(key.clone()).or_default();
        *call += 1;
        *call
    };
    let mut hasher = DefaultHasher::new();
    (shared.seed, &key, call).hash(&mut hasher);
    let drawn = hasher.finish();
    sleep(Duration::from_millis(drawn / 100 % 300)).await;
    match drawn % 100 {
        0..80 => result().to_string().into_response(),
        80..84 => {
            sleep(Duration::from_secs(3)).await;
            result().to_string().into_response()
        }
        84..88 => (
            StatusCode::SERVICE_UNAVAILABLE,
            [("retry-after", "1")],
            "later",
        )
            .into_response(),
        88..91 => (StatusCode::BAD_GATEWAY, "<html>no</html>").into_response(),
        91..93 => "<html>signed out</html>".into_response(),
        93..95 => broken_off(),
        95..96 => {
            // Longer than any worker waits.
            sleep(Duration::from_secs(30)).await;
            result().to_string().into_response()
        }
        _ => {
            if let Some(url) = fields.remove("resultUrl") {
                tokio::spawn(post_result(shared.http.clone(), url));
            }
            StatusCode::ACCEPTED.into_response()
        }
    }
}

fn result() -> Value {
    json!({
        "overallHealthScore": 62,
        "primaryConcern": "Leaf rust",
        "cropType": "wheat",
        "confidence": 0.9,
    })
}

/// The connection ends before the body does.
fn broken_off() -> Response {
    let begun = Bytes::from_static(b"{\"overallHealthScore\":");
    let pieces = stream::iter([Ok::<_, Infallible>(begun)]);
    let mut response = Response::new(Body::from_stream(pieces));
    response
        .headers_mut()
        .insert("content-length", 4_096.into());
    response
}

/// As a flow does that was given an address to answer to.
async fn post_result(http: reqwest::Client, url: String) {
    sleep(Duration::from_millis(500)).await;
    for _ in 0..RESULT_TRIES {
        let answer = http.post(&url).json(&result()).send().await;
        // A refusal is final: the attempt may be over.
        if answer.is_ok_and(|answer| !answer.status().is_server_error()) {
            return;
        }
        sleep(Duration::from_millis(500)).await;
    }
}
