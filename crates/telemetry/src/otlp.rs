//! The way of spans to a collector: OTLP over HTTP in protobuf, as the
//! standard `OTEL_*` variables say.
//!
//! Spans wait in a bounded queue and go out in batches; when it is full they
//! are dropped. The HTTP client is the one that the services use anyway.

use std::{env, future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::runtime::Handle;

use crate::{StartError, logs::Service};

/// An answer of a collector that is longer is not read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// No collector needs longer to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A bound for the whole exchange, above the exporter's own timeout.
const EXCHANGE: Duration = Duration::from_secs(30);

/// What makes and exports spans; `None` where no collector is named.
pub(crate) fn provider(service: Service) -> Result<Option<SdkTracerProvider>, StartError> {
    if !is_wanted(|name| env::var(name).ok().filter(|value| !value.is_empty()))? {
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

/// Only where the environment names a collector: the specification's default,
/// one on this machine, would have every service try one that is not there.
fn is_wanted(variable: impl Fn(&str) -> Option<String>) -> Result<bool, StartError> {
    let is_true = |text: String| text.eq_ignore_ascii_case("true");
    if variable("OTEL_SDK_DISABLED").is_some_and(is_true) {
        return Ok(false);
    }
    let named = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"));
    if named.is_none() {
        return Ok(false);
    }
    match variable("OTEL_TRACES_EXPORTER").as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(false),
        Some(_) => return Err(StartError::Exporter),
    }
    let protocol = variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        .or_else(|| variable("OTEL_EXPORTER_OTLP_PROTOCOL"));
    match protocol.as_deref() {
        None | Some("http/protobuf") => Ok(true),
        Some(_) => Err(StartError::Protocol),
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

    fn wanted(variables: &[(&str, &str)]) -> Result<bool, StartError> {
        is_wanted(|name| {
            let found = variables.iter().find(|(each, _)| *each == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn spans_are_exported_where_a_collector_is_named() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for (variables, expected) in [
            (&[][..], false),
            (&[endpoint], true),
            (
                &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/x")],
                true,
            ),
            (&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")], false),
            (&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], false),
            (&[endpoint, ("OTEL_TRACES_EXPORTER", "otlp")], true),
            (
                &[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
                true,
            ),
        ] {
            assert_eq!(wanted(variables).unwrap(), expected, "{variables:?}");
        }
        for variable in [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ] {
            assert!(wanted(&[endpoint, variable]).is_err(), "{variable:?}");
        }
    }
}
