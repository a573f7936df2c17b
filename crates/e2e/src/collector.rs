//! A collector of traces and log lines: takes OTLP over HTTP in protobuf, as
//! OpenTelemetry's own does, and keeps what it was sent.

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
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
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

/// One line of a log, as it was exported.
#[derive(Debug, Clone)]
pub struct CollectedLine {
    /// `service.name` of the process.
    pub service: String,
    /// Its level.
    pub severity: String,
    /// What wrote it.
    pub scope: String,
    /// Its message.
    pub body: String,
    /// The trace in which it was written, in hexadecimal digits; empty outside
    /// of any.
    pub trace: String,
    /// Its fields, as text.
    pub attributes: Vec<(String, String)>,
}

impl CollectedLine {
    /// Whether it has a field of this name and value.
    #[must_use]
    pub fn has(&self, field: &str, value: &str) -> bool {
        let mut attributes = self.attributes.iter();
        attributes.any(|(key, each)| key == field && each == value)
    }
}

/// A running collector; it ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    port: u16,
    kept: Kept,
    server: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<CollectedSpan>>>,
    lines: Arc<Mutex<Vec<CollectedLine>>>,
}

impl Collector {
    /// Starts it on a free port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let kept = Kept::default();
        let app = Router::new()
            .route("/v1/traces", post(take_spans))
            .route("/v1/logs", post(take_lines))
            .with_state(kept.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("the collector ended: {error}");
            }
        });
        Ok(Self { port, kept, server })
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

    /// The same, for a service that exports the lines of its log as well.
    #[must_use]
    pub fn settings_with_lines(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.settings();
        settings.push(("OTEL_LOGS_EXPORTER", "otlp".to_owned()));
        settings.push(("OTEL_BLRP_SCHEDULE_DELAY", "200".to_owned()));
        settings
    }

    /// All spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<CollectedSpan> {
        lock(&self.kept.spans).clone()
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<CollectedLine> {
        lock(&self.kept.lines).clone()
    }

    /// Waits until a line came that fits.
    pub async fn wait_for_line(
        &self,
        within: Duration,
        what: &str,
        fits: impl Fn(&CollectedLine) -> bool,
    ) -> Result<CollectedLine> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(line) = self.lines().into_iter().find(&fits) {
                return Ok(line);
            }
            if Instant::now() > deadline {
                bail!("no line of {what} among {:#?}", self.lines());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
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

async fn take_spans(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let read = check(&headers).and_then(|()| read_spans(&body));
    keep(&kept.spans, read)
}

async fn take_lines(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let read = check(&headers).and_then(|()| read_lines(&body));
    keep(&kept.lines, read)
}

fn keep<T>(kept: &Mutex<Vec<T>>, read: Result<Vec<T>>) -> StatusCode {
    match read {
        Ok(read) => {
            lock(kept).extend(read);
            StatusCode::OK
        }
        Err(error) => {
            eprintln!("the collector was sent what it cannot read: {error:#}");
            StatusCode::BAD_REQUEST
        }
    }
}

fn check(headers: &HeaderMap) -> Result<()> {
    let kind = headers.get(CONTENT_TYPE).context("no content type")?;
    if kind != "application/x-protobuf" {
        bail!("the content type is {kind:?}");
    }
    Ok(())
}

fn read_spans(body: &[u8]) -> Result<Vec<CollectedSpan>> {
    let mut spans = Vec::new();
    for resource in ExportTraceServiceRequest::decode(body)?.resource_spans {
        let service = service(resource.resource);
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

fn read_lines(body: &[u8]) -> Result<Vec<CollectedLine>> {
    let mut lines = Vec::new();
    for resource in ExportLogsServiceRequest::decode(body)?.resource_logs {
        let service = service(resource.resource);
        for scope in resource.scope_logs {
            let name = scope.scope.map_or_else(String::new, |scope| scope.name);
            for line in scope.log_records {
                lines.push(CollectedLine {
                    service: service.clone(),
                    severity: line.severity_text,
                    scope: name.clone(),
                    body: text(line.body),
                    trace: hex(&line.trace_id),
                    attributes: texts(line.attributes),
                });
            }
        }
    }
    Ok(lines)
}

fn service(resource: Option<Resource>) -> String {
    let attributes = texts(resource.unwrap_or_default().attributes);
    let service = attributes
        .into_iter()
        .find(|(key, _)| key == "service.name");
    service.map_or_else(String::new, |(_, name)| name)
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let pair = |each: KeyValue| (each.key, text(each.value));
    attributes.into_iter().map(pair).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        None => String::new(),
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock<T>(kept: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
