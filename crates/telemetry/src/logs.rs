//! Starts logs and traces, and changes what is logged while the service runs.

use std::{
    io::{self, IsTerminal as _},
    sync::OnceLock,
};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::{OpenTelemetryTracingBridge, TracingSpanAttributes};
use opentelemetry_sdk::{error::OTelSdkResult, logs::SdkLoggerProvider, trace::SdkTracerProvider};
use parking_lot::Mutex;
use settings::{LogConfig, LogFormat};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, filter_fn},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};

use crate::{otlp, trace};

/// Who it is that logs.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its name in traces.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Why there can be no logs or traces.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The filter's text is none.
    #[error("log.filter (RUST_LOG)")]
    Filter(#[from] FilterError),
    /// Something else logs already.
    #[error("logs were started before")]
    Twice,
    /// The variable names another way of export.
    #[error("{0}: this service exports by otlp, or not at all (none)")]
    Exporter(&'static str),
    /// The variable names another form of export.
    #[error("{0}: this service speaks http/protobuf")]
    Protocol(&'static str),
    /// The collector's variables make no sense.
    #[error("the collector of OTEL_EXPORTER_OTLP_ENDPOINT cannot be used: {0}")]
    Otlp(String),
}

/// Why what is logged stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// No filter.
    #[error("it reads as RUST_LOG does: a level, or target=level, with commas between")]
    Unreadable,
    /// Logs were not started by [`start`].
    #[error("this process does not log")]
    NotStarted,
}

/// The longest text of a filter.
const LONGEST_FILTER: usize = 512;

/// What of spans is exported, whatever is logged. What the export itself does
/// must not be traced: it would never end.
const EXPORTED: &str = "info,opentelemetry=off,opentelemetry_sdk=off,opentelemetry_otlp=off,\
                        opentelemetry_http=off,hyper=off,hyper_util=off,reqwest=off,h2=off,\
                        rustls=off,sqlx=off,lapin=off";

/// The crates that carry spans and lines to their collector, beside
/// OpenTelemetry's own.
const CARRIERS: [&str; 5] = ["hyper", "hyper_util", "reqwest", "h2", "rustls"];

/// What of spans log lines have at the collector, beside their own fields.
const FIELDS: [&str; 7] = [
    "user", "analysis", "job", "attempt", "method", "route", "name",
];

struct Filter {
    /// One for each way that lines take.
    handles: Vec<reload::Handle<EnvFilter, Registry>>,
    text: Mutex<String>,
}

/// Logs belong to the process, as standard output does.
static FILTER: OnceLock<Filter> = OnceLock::new();

/// Logs and traces that were started. What waits to be exported is sent by
/// [`end`](Self::end).
#[derive(Debug)]
#[must_use = "what was not sent yet is sent by `end`"]
pub struct Telemetry {
    spans: Option<SdkTracerProvider>,
    records: Option<SdkLoggerProvider>,
}

/// Starts logging to standard output, and the export of spans and lines where
/// the `OTEL_*` variables ask for it. Called on a Tokio runtime.
///
/// # Errors
/// [`StartError`] says which setting is wrong.
pub fn start(service: Service, config: &LogConfig) -> Result<Telemetry, StartError> {
    let (spans, records) = (otlp::spans(service)?, otlp::records(service)?);
    let (filter, handle) = reload::Layer::new(read(&config.filter)?);
    let mut handles = vec![handle];
    let started = if spans.is_none() && records.is_none() {
        // Nothing of the other ways is there to cost anything.
        tracing_subscriber::registry()
            .with(filter)
            .with(lines(config.format))
            .try_init()
    } else {
        // Spans first: they say in which trace a line was written.
        let mut layers = Vec::new();
        layers.extend(spans.as_ref().map(|spans| exported_spans(service, spans)));
        if let Some(records) = &records {
            let (filter, handle) = reload::Layer::new(read(&config.filter)?);
            handles.push(handle);
            layers.push(exported_lines(records, filter));
        }
        layers.push(lines(config.format).with_filter(filter).boxed());
        tracing_subscriber::registry().with(layers).try_init()
    };
    started.map_err(|_| StartError::Twice)?;
    if spans.is_some() {
        trace::switch_on();
        tracing::info!("traces are exported by OTLP");
    }
    if records.is_some() {
        tracing::info!("log lines are exported by OTLP");
    }
    let text = Mutex::new(config.filter.clone());
    FILTER
        .set(Filter { handles, text })
        .map_err(|_| StartError::Twice)?;
    Ok(Telemetry { spans, records })
}

type AnyLayer = Box<dyn Layer<Registry> + Send + Sync>;

fn exported_spans(service: Service, spans: &SdkTracerProvider) -> AnyLayer {
    tracing_opentelemetry::layer()
        .with_tracer(spans.tracer(service.name))
        .with_location(false)
        .with_threads(false)
        .with_filter(EnvFilter::new(EXPORTED))
        .boxed()
}

/// The same lines as on standard output, but for those that may come of the
/// export itself, whatever the operator wants to see: it would never end.
fn exported_lines(
    records: &SdkLoggerProvider,
    filter: reload::Layer<EnvFilter, Registry>,
) -> AnyLayer {
    OpenTelemetryTracingBridge::builder(records)
        .with_tracing_span_attributes(TracingSpanAttributes::allowlist(FIELDS))
        .build()
        .with_filter(filter.and(filter_fn(|of| !may_be_the_exports(of.target()))))
        .boxed()
}

/// Whether the target is of a crate that carries what is exported.
fn may_be_the_exports(target: &str) -> bool {
    let of = target.split("::").next().unwrap_or(target);
    of.starts_with("opentelemetry") || CARRIERS.contains(&of)
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(io::stdout().is_terminal());
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

impl Telemetry {
    /// Sends what waits, as far as the collector takes it in some seconds.
    pub async fn end(self) {
        if let Some(spans) = self.spans {
            ended("spans", move || spans.shutdown()).await;
        }
        if let Some(records) = self.records {
            ended("lines", move || records.shutdown()).await;
        }
    }
}

/// It waits for its thread, whose requests run on this runtime.
async fn ended(what: &'static str, end: impl FnOnce() -> OTelSdkResult + Send + 'static) {
    let ended = tokio::task::spawn_blocking(end).await;
    if !matches!(ended, Ok(Ok(()))) {
        tracing::warn!("the last {what} did not reach their collector");
    }
}

/// What is logged; `None` where logs were not started by [`start`].
#[must_use]
pub fn log_filter() -> Option<String> {
    FILTER.get().map(|filter| filter.text.lock().clone())
}

/// Changes what is logged, from now on.
///
/// # Errors
/// [`FilterError`]; then nothing has changed.
pub fn set_log_filter(text: &str) -> Result<(), FilterError> {
    read(text)?;
    let filter = FILTER.get().ok_or(FilterError::NotStarted)?;
    // Held meanwhile, so that no two changes are mixed.
    let mut current = filter.text.lock();
    for handle in &filter.handles {
        let new = read(text)?;
        handle.reload(new).map_err(|_| FilterError::NotStarted)?;
    }
    text.clone_into(&mut current);
    Ok(())
}

/// A word alone that is no level would be read as a target's name, and then
/// nothing else would be logged.
fn read(text: &str) -> Result<EnvFilter, FilterError> {
    let level = |word: &str| {
        word.parse::<tracing_subscriber::filter::LevelFilter>()
            .is_ok()
    };
    let mut directives = text.split(',').map(str::trim);
    let plain =
        directives.all(|each| !each.is_empty() && (each.contains(['=', '[']) || level(each)));
    if text.len() > LONGEST_FILTER || !plain {
        return Err(FilterError::Unreadable);
    }
    EnvFilter::try_new(text).map_err(|_| FilterError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_and_targets() {
        for good in ["info", "warn,hub_api=debug", "INFO", "off", "info,sqlx=off"] {
            assert!(read(good).is_ok(), "{good}");
        }
        let long = "info,".repeat(200);
        for wrong in ["", "verbose", "info,loud", "hub_api=loudly", &long] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(
            set_log_filter("info"),
            Err(FilterError::NotStarted)
        ));
    }

    #[test]
    fn what_may_come_of_the_export_is_not_exported() {
        for own in [
            "hyper",
            "hyper_util::client::legacy",
            "opentelemetry-otlp",
            "reqwest::connect",
        ] {
            assert!(may_be_the_exports(own), "{own}");
        }
        for other in ["hub_api::run", "hyperion", "analysis_worker", "sqlx::query"] {
            assert!(!may_be_the_exports(other), "{other}");
        }
    }
}
