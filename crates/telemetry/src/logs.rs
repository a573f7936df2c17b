//! Starts logs and traces, and changes what is logged while the service runs.

use std::{
    io::{self, IsTerminal as _},
    sync::OnceLock,
};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use parking_lot::Mutex;
use settings::{LogConfig, LogFormat};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt as _, registry::LookupSpan, reload,
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
    /// Traces cannot be exported in this way.
    #[error("OTEL_TRACES_EXPORTER: this service exports by otlp, or not at all (none)")]
    Exporter,
    /// Traces cannot be exported in this form.
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL: this service speaks http/protobuf")]
    Protocol,
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

struct Filter {
    handle: reload::Handle<EnvFilter, Registry>,
    text: Mutex<String>,
}

/// Logs belong to the process, as standard output does.
static FILTER: OnceLock<Filter> = OnceLock::new();

/// Logs and traces that were started. Traces that wait are sent by
/// [`end`](Self::end).
#[derive(Debug)]
#[must_use = "what was not sent yet is sent by `end`"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Starts logging to standard output, and the export of spans where the
/// `OTEL_*` variables name a collector. Called on a Tokio runtime.
///
/// # Errors
/// [`StartError`] says which setting is wrong.
pub fn start(service: Service, config: &LogConfig) -> Result<Telemetry, StartError> {
    let provider = otlp::provider(service)?;
    let (filter, handle) = reload::Layer::new(read(&config.filter)?);
    let started = match &provider {
        // Nothing of the other way is there to cost anything.
        None => tracing_subscriber::registry()
            .with(filter)
            .with(lines(config.format))
            .try_init(),
        Some(provider) => {
            let spans = tracing_opentelemetry::layer()
                .with_tracer(provider.tracer(service.name))
                .with_location(false)
                .with_threads(false)
                .with_filter(EnvFilter::new(EXPORTED));
            tracing_subscriber::registry()
                .with(lines(config.format).with_filter(filter))
                .with(spans)
                .try_init()
        }
    };
    started.map_err(|_| StartError::Twice)?;
    if provider.is_some() {
        trace::switch_on();
        tracing::info!("traces are exported by OTLP");
    }
    let text = Mutex::new(config.filter.clone());
    FILTER
        .set(Filter { handle, text })
        .map_err(|_| StartError::Twice)?;
    Ok(Telemetry { provider })
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
        if let Some(provider) = self.provider {
            // It waits for its thread, whose requests run on this runtime.
            let ended = tokio::task::spawn_blocking(move || provider.shutdown()).await;
            if !matches!(ended, Ok(Ok(()))) {
                tracing::warn!("the last spans did not reach their collector");
            }
        }
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
    let new = read(text)?;
    let filter = FILTER.get().ok_or(FilterError::NotStarted)?;
    filter
        .handle
        .reload(new)
        .map_err(|_| FilterError::NotStarted)?;
    *filter.text.lock() = text.to_owned();
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
}
