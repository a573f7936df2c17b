//! Negotiate: a new connection, and how it can be used.

use std::{fmt::Write as _, sync::Arc};

use axum::body::Body;
use http::{HeaderValue, Response, header, request::Parts};

use super::{TransportKind, answer, gate, query_values};
use crate::{
    connection::{Connection, Negotiated},
    server::Core,
};

/// What the Dart client sends; it loses its id over Server-Sent Events.
const FLUTTER: &str = "FlutterHttpClient";

pub(super) fn negotiate(core: &Arc<Core>, parts: &Parts) -> Response<Body> {
    if core.is_draining() {
        return answer::leaving();
    }
    let version = match version(core, parts) {
        Ok(version) => version,
        Err(problem) => return error(&problem),
    };
    if let Some(answer) = gate::at_negotiate(core.gate.as_ref(), parts) {
        return answer;
    }
    let stateful = core.options.allow_stateful_reconnects
        && query_values(parts, "useStatefulReconnect")
            .join(",")
            .eq_ignore_ascii_case("true");
    let flutter = parts
        .headers
        .get("x-requested-with")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(FLUTTER.as_bytes()));
    let (id, token) = core.mint.issue(version == 0, stateful);
    let connection = Connection::new(
        Arc::clone(core),
        id,
        token,
        Negotiated { stateful, flutter },
    );
    core.registry.announce(connection);

    let mut body = String::with_capacity(320);
    body.push('{');
    if stateful {
        body.push_str("\"useStatefulReconnect\":true,");
    }
    let _ = write!(
        body,
        "\"negotiateVersion\":{version},\"connectionId\":\"{id}\","
    );
    if version > 0 {
        let _ = write!(body, "\"connectionToken\":\"{}\",", token.as_str());
    }
    body.push_str("\"availableTransports\":[");
    push_transports(&mut body, core, flutter);
    body.push_str("]}");
    json(body)
}

fn push_transports(body: &mut String, core: &Core, flutter: bool) {
    let offered = [
        (TransportKind::WebSockets, "[\"Text\",\"Binary\"]"),
        (TransportKind::ServerSentEvents, "[\"Text\"]"),
        (TransportKind::LongPolling, "[\"Text\",\"Binary\"]"),
    ];
    let offered = offered.into_iter().filter(|(kind, _)| {
        let loses_id = flutter && *kind == TransportKind::ServerSentEvents;
        core.options.transports.has(*kind) && !loses_id
    });
    for (at, (kind, formats)) in offered.enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(
            body,
            "{comma}{{\"transport\":\"{}\",\"transferFormats\":{formats}}}",
            kind.name()
        );
    }
}

/// The client shows the text and does not connect.
pub(super) fn error(text: &str) -> Response<Body> {
    let mut body = String::from("{\"error\":");
    push_string(&mut body, text);
    body.push('}');
    json(body)
}

/// The client negotiates anew at `url`.
pub(super) fn redirect(url: &str, access_token: Option<&str>) -> Response<Body> {
    let mut body = String::from("{\"url\":");
    push_string(&mut body, url);
    if let Some(token) = access_token {
        body.push_str(",\"accessToken\":");
        push_string(&mut body, token);
    }
    body.push('}');
    json(body)
}

/// The negotiate version to speak: 0 or 1.
fn version(core: &Core, parts: &Parts) -> Result<i32, String> {
    let asked = query_values(parts, "negotiateVersion");
    if asked.is_empty() {
        return served(core, 0);
    }
    // .NET's int.Parse takes white space around the number.
    let number = asked.join(",").trim().parse::<i32>();
    let number =
        number.map_err(|_| "The client requested a non-integer protocol version.".to_owned())?;
    served(core, number)
}

fn served(core: &Core, version: i32) -> Result<i32, String> {
    if version < core.options.minimum_protocol_version {
        return Err(format!(
            "The client requested version '{version}', but the server does not support this version."
        ));
    }
    Ok(version.clamp(0, 1))
}

fn push_string(body: &mut String, text: &str) {
    let mut bytes = Vec::new();
    crate::protocol::write_json_string(&mut bytes, text);
    body.push_str(&String::from_utf8_lossy(&bytes));
}

fn json(body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
