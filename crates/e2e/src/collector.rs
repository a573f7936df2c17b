//! A collector of traces: takes OTLP over HTTP in protobuf, as OpenTelemetry's
//! own does, and keeps what it was sent.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
};
use prost::Message as _;
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

/// One span, as it was exported.
#[derive(Debug, Clone)]
pub struct CollectedSpan {
    /// `service.name` of the process.
    pub service: String,
    /// The span's name.
    pub name: String,
    /// The trace, in hexadecimal digits.
    pub trace: String,
    /// The span.
    pub id: String,
    /// The span that it is a part of; empty for the first of a trace here.
    pub parent: String,
    /// Its attributes, as text.
    pub attributes: Vec<(String, String)>,
}

/// A running collector; it ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    port: u16,
    spans: Spans,
    server: JoinHandle<()>,
}

type Spans = Arc<Mutex<Vec<CollectedSpan>>>;

impl Collector {
    /// Starts it on a free port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let spans = Spans::default();
        let app = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&spans));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("the collector ended: {error}");
            }
        });
        Ok(Self {
            port,
            spans,
            server,
        })
    }

    /// What a service is told, beside the time after which it exports.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        ]
    }

    /// All spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<CollectedSpan> {
        lock(&self.spans).clone()
    }

    /// Waits until a span came that fits.
    pub async fn wait_for(
        &self,
        within: Duration,
        what: &str,
        fits: impl Fn(&CollectedSpan) -> bool,
    ) -> Result<CollectedSpan> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(span) = self.spans().into_iter().find(&fits) {
                return Ok(span);
            }
            if Instant::now() > deadline {
                bail!("no span of {what} among {:#?}", self.spans());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(spans): State<Spans>, headers: HeaderMap, body: Bytes) -> StatusCode {
    match read(&headers, &body) {
        Ok(read) => {
            lock(&spans).extend(read);
            StatusCode::OK
        }
        Err(error) => {
            eprintln!("the collector was sent what it cannot read: {error:#}");
            StatusCode::BAD_REQUEST
        }
    }
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<Vec<CollectedSpan>> {
    let kind = headers.get(CONTENT_TYPE).context("no content type")?;
    if kind != "application/x-protobuf" {
        bail!("the content type is {kind:?}");
    }
    let mut spans = Vec::new();
    for resource in ExportTraceServiceRequest::decode(body)?.resource_spans {
        let attributes = resource.resource.unwrap_or_default().attributes;
        let attributes = texts(attributes);
        let service = attributes.iter().find(|(key, _)| key == "service.name");
        let service = service.map_or_else(String::new, |(_, name)| name.clone());
        for span in resource.scope_spans.into_iter().flat_map(|each| each.spans) {
            spans.push(CollectedSpan {
                service: service.clone(),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                attributes: texts(span.attributes),
            });
        }
    }
    Ok(spans)
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pair = |each: KeyValue| {
        let value = each.value.and_then(|value| value.value);
        (each.key, value.map_or_else(String::new, text))
    };
    attributes.into_iter().map(pair).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock(spans: &Spans) -> MutexGuard<'_, Vec<CollectedSpan>> {
    spans.lock().unwrap_or_else(PoisonError::into_inner)
}
