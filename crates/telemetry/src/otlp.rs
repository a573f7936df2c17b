//! The way of spans and log lines to a collector: OTLP over HTTP in protobuf,
//! as the standard `OTEL_*` variables say.
//!
//! Either waits in a bounded queue of its own and goes out in batches; what
//! finds the queue full is dropped. The HTTP client is the one that the
//! services use anyway.

use std::{env, future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    LogExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{Resource, logs::SdkLoggerProvider, trace::SdkTracerProvider};
use tokio::runtime::Handle;

use crate::{StartError, logs::Service};

/// An answer of a collector that is longer is not read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// No collector needs longer to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A bound for the whole exchange, above the exporter's own timeout.
const EXCHANGE: Duration = Duration::from_secs(30);

/// What makes and exports spans; `None` where no collector is named.
pub(crate) fn spans(service: Service) -> Result<Option<SdkTracerProvider>, StartError> {
    if !is_wanted(&SPANS, variable)? {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(OnRuntime::new()?)
        .with_protocol(Protocol::HttpBinary)
        .build()
        .map_err(|error| StartError::Otlp(error.to_string()))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(service));
    Ok(Some(provider.build()))
}

/// What exports log lines; `None` where nobody asked for it.
pub(crate) fn records(service: Service) -> Result<Option<SdkLoggerProvider>, StartError> {
    if !is_wanted(&RECORDS, variable)? {
        return Ok(None);
    }
    let exporter = LogExporter::builder()
        .with_http()
        .with_http_client(OnRuntime::new()?)
        .with_protocol(Protocol::HttpBinary)
        .build()
        .map_err(|error| StartError::Otlp(error.to_string()))?;
    let provider = SdkLoggerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(service));
    Ok(Some(provider.build()))
}

/// What is exported, and the variables that are its own.
struct Signal {
    exporter: &'static str,
    endpoint: &'static str,
    protocol: &'static str,
    /// Whether naming a collector is enough.
    unasked: bool,
}

const SPANS: Signal = Signal {
    exporter: "OTEL_TRACES_EXPORTER",
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    unasked: true,
};

/// Every line is on standard output as well, which platforms collect: with a
/// collector named for spans alone, each would arrive twice. So the exporter
/// must be named, other than the specification has it.
const RECORDS: Signal = Signal {
    exporter: "OTEL_LOGS_EXPORTER",
    endpoint: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    unasked: false,
};

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Only where the environment names a collector: the specification's default,
/// one on this machine, would have every service try one that is not there.
fn is_wanted(
    signal: &Signal,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<bool, StartError> {
    let is_true = |text: String| text.eq_ignore_ascii_case("true");
    if variable("OTEL_SDK_DISABLED").is_some_and(is_true) {
        return Ok(false);
    }
    let asked = match variable(signal.exporter).as_deref() {
        None => signal.unasked,
        Some("otlp") => true,
        Some("none") => false,
        Some(_) => return Err(StartError::Exporter(signal.exporter)),
    };
    let named = variable(signal.endpoint).or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"));
    if !asked || named.is_none() {
        return Ok(false);
    }
    let own = variable(signal.protocol).map(|protocol| (signal.protocol, protocol));
    let protocol = own.or_else(|| {
        let name = "OTEL_EXPORTER_OTLP_PROTOCOL";
        variable(name).map(|protocol| (name, protocol))
    });
    match protocol {
        Some((name, protocol)) if protocol != "http/protobuf" => Err(StartError::Protocol(name)),
        _ => Ok(true),
    }
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, and what they do not say.
fn resource(service: Service) -> Resource {
    let attributes = env::var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let named = env::var_os("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty())
        || attributes
            .split(',')
            .any(|pair| pair.trim().starts_with("service.name="));
    let version = opentelemetry::KeyValue::new("service.version", service.version);
    let resource = Resource::builder().with_attribute(version);
    if named {
        resource.build()
    } else {
        resource.with_service_name(service.name).build()
    }
}

/// The exporter's thread knows no runtime: its requests run on the service's.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
}

impl OnRuntime {
    fn new() -> Result<Self, StartError> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(EXCHANGE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| StartError::Otlp(error.to_string()))?;
        Ok(Self {
            client,
            runtime: Handle::current(),
        })
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for OnRuntime {
    fn send_bytes<'s, 'a>(&'s self, request: Request<Bytes>) -> Answer<'a>
    where
        's: 'a,
        Self: 'a,
    {
        let sent = self.runtime.spawn(send(self.client.clone(), request));
        Box::pin(async move { sent.await? })
    }
}

async fn send(
    client: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    // Without the address: it may hold a key.
    let shown = |error: reqwest::Error| HttpError::from(error.without_url());
    let request = reqwest::Request::try_from(request).map_err(shown)?;
    let mut answer = client.execute(request).await.map_err(shown)?;
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        *headers = std::mem::take(answer.headers_mut());
    }
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(shown)? {
        if body.len() + piece.len() > LONGEST_ANSWER {
            break;
        }
        body.extend_from_slice(&piece);
    }
    Ok(response.body(body.into())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(signal: &Signal, variables: &[(&str, &str)]) -> Result<bool, StartError> {
        is_wanted(signal, |name| {
            let found = variables.iter().find(|(each, _)| *each == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

    #[test]
    fn spans_are_exported_where_a_collector_is_named() {
        for (variables, expected) in [
            (&[][..], false),
            (&[("OTEL_TRACES_EXPORTER", "otlp")], false),
            (&[ENDPOINT], true),
            (
                &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/x")],
                true,
            ),
            (&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")], false),
            (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")], false),
            (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "otlp")], true),
            (
                &[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
                true,
            ),
        ] {
            assert_eq!(
                wanted(&SPANS, variables).unwrap(),
                expected,
                "{variables:?}"
            );
        }
        for variable in [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ] {
            let refused = wanted(&SPANS, &[ENDPOINT, variable]).unwrap_err();
            assert!(refused.to_string().starts_with(variable.0), "{refused}");
        }
    }

    #[test]
    fn lines_are_exported_where_that_is_asked_for() {
        let asked = ("OTEL_LOGS_EXPORTER", "otlp");
        let own = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://c/x");
        for (variables, expected) in [
            (&[][..], false),
            (&[ENDPOINT], false),
            (&[own], false),
            (&[asked], false),
            (&[ENDPOINT, asked], true),
            (&[own, asked], true),
            (&[own, asked, ("OTEL_SDK_DISABLED", "true")], false),
            (&[ENDPOINT, ("OTEL_LOGS_EXPORTER", "none")], false),
        ] {
            assert_eq!(
                wanted(&RECORDS, variables).unwrap(),
                expected,
                "{variables:?}"
            );
        }
        for variable in [
            ("OTEL_LOGS_EXPORTER", "console"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
        ] {
            let refused = wanted(&RECORDS, &[variable, asked, ENDPOINT]).unwrap_err();
            assert!(refused.to_string().starts_with(variable.0), "{refused}");
        }
    }
}
