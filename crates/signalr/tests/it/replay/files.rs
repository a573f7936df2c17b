//! Reads the JSON files of recordings into scenarios. Never plays them.

use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use super::scenario::{Action, Expected, OutgoingFrame, Payload, Request, Scenario, Step};

#[derive(Debug)]
pub(crate) struct ReadError(String);

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All scenarios of all `*.json` files of a folder, by file name.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<Scenario>, ReadError> {
    let io = |error: std::io::Error| ReadError(format!("{}: {error}", folder.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            paths.push(path);
        }
    }
    paths.sort();
    let mut scenarios = Vec::new();
    for path in paths {
        let file = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).map_err(io)?;
        let list: Vec<Value> = serde_json::from_str(&text)
            .map_err(|error| ReadError(format!("{file}.json: {error}")))?;
        for value in &list {
            scenarios.push(scenario(&file, value)?);
        }
    }
    Ok(scenarios)
}

fn scenario(file: &str, value: &Value) -> Result<Scenario, ReadError> {
    let name = text(value, "name");
    let steps = value["steps"].as_array().cloned().unwrap_or_default();
    let steps = steps.iter().enumerate().map(|(index, value)| {
        step(value).ok_or_else(|| ReadError(format!("{file}/{name}: step {index}: {value}")))
    });
    Ok(Scenario {
        file: file.to_owned(),
        about: text(value, "about"),
        steps: steps.collect::<Result<_, _>>()?,
        name,
    })
}

fn step(value: &Value) -> Option<Step> {
    let fields = value.as_object()?;
    Some(Step {
        conn: fields
            .get("conn")
            .and_then(Value::as_str)
            .unwrap_or("a")
            .to_owned(),
        action: action(fields)?,
        after_ms: fields.get("after_ms").and_then(Value::as_u64),
        note: text(value, "note"),
    })
}

fn action(fields: &Map<String, Value>) -> Option<Action> {
    let name = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let millis = |key: &str| fields.get(key).and_then(Value::as_u64);
    let expected = || fields.get("expect").and_then(expected);
    if let Some(id) = name("http_start") {
        return Some(Action::HttpStart(id, request(fields.get("http")?)));
    } else if let Some(id) = name("http_end") {
        return Some(Action::HttpEnd(id, expected()?));
    } else if let Some(id) = name("http_drop") {
        return Some(Action::HttpDrop(id));
    } else if let Some(broken) = fields.get("http_broken") {
        return Some(Action::HttpBroken(request(
            fields.get("http").unwrap_or(broken),
        )));
    } else if let Some(http) = fields.get("http") {
        return Some(Action::Http(request(http), expected()?));
    } else if let Some(open) = fields.get("ws_open") {
        return Some(Action::WsOpen(request(open), expected()?));
    } else if let Some(open) = fields.get("sse_open") {
        return Some(Action::SseOpen(request(open), expected()?));
    } else if let Some(frame) = outgoing_frame(fields) {
        return Some(Action::Send(frame));
    } else if let Some(text) = name("recv") {
        return Some(Action::Recv {
            opcode: opcode(fields.get("opcode"))?,
            text,
        });
    } else if let Some(lengths) = fields.get("recv_lengths").and_then(Value::as_array) {
        let lengths = lengths
            .iter()
            .map(|n| n.as_u64().and_then(|n| n.try_into().ok()));
        return lengths.collect::<Option<_>>().map(Action::RecvLengths);
    } else if let Some(text) = name("sse_recv") {
        return Some(Action::SseRecv(text));
    } else if let Some(how) = name("sse_end") {
        return Some(Action::SseEnd(how));
    } else if let Some(close) = fields.get("ws_close") {
        return close_step(close, fields.get("from")?.as_str()?);
    } else if fields.contains_key("tcp_drop") {
        return Some(Action::TcpDrop);
    } else if fields.contains_key("tcp_end") {
        return Some(Action::TcpEnd);
    } else if fields.contains_key("server_stop") {
        return Some(Action::ServerStop);
    } else if let Some(millis) = millis("silence_ms") {
        return Some(Action::Silence(millis));
    } else if let Some(millis) = millis("wait_ms") {
        return Some(Action::Wait(millis));
    }
    name("note").map(Action::Note)
}

fn close_step(close: &Value, from: &str) -> Option<Action> {
    // 1005 stands for a close frame without payload (RFC 6455, 7.1.5).
    let code = close["code"]
        .as_u64()
        .map_or(Some(1005), |code| code.try_into().ok())?;
    let reason = text(close, "reason");
    match from {
        "client" => Some(Action::ClientClose { code, reason }),
        "server" => Some(Action::ServerClose { code, reason }),
        _ => None,
    }
}

fn outgoing_frame(fields: &Map<String, Value>) -> Option<OutgoingFrame> {
    let payload = if let Some(text) = fields.get("send").and_then(Value::as_str) {
        Payload::Text(text.to_owned())
    } else if let Some(text) = fields.get("send_base64").and_then(Value::as_str) {
        use base64::Engine as _;
        Payload::Bytes(
            base64::engine::general_purpose::STANDARD
                .decode(text)
                .ok()?,
        )
    } else {
        let repeat = fields.get("send_repeat")?;
        let times = usize::try_from(repeat[1].as_u64()?).ok()?;
        Payload::Text(repeat[0].as_str()?.repeat(times))
    };
    let flag = |key: &str| fields.get(key).and_then(Value::as_bool).unwrap_or(true);
    Some(OutgoingFrame {
        payload,
        opcode: opcode(fields.get("opcode"))?,
        fin: flag("fin"),
        mask: flag("mask"),
        rsv: fields
            .get("rsv")
            .and_then(Value::as_u64)
            .unwrap_or(0)
            .try_into()
            .ok()?,
    })
}

fn opcode(value: Option<&Value>) -> Option<u8> {
    match value {
        None => Some(1),
        Some(Value::Number(number)) => number.as_u64()?.try_into().ok(),
        Some(value) => match value.as_str()? {
            "continuation" => Some(0),
            "text" => Some(1),
            "binary" => Some(2),
            "close" => Some(8),
            "ping" => Some(9),
            "pong" => Some(10),
            _ => None,
        },
    }
}

fn request(value: &Value) -> Request {
    Request {
        method: value["method"].as_str().unwrap_or("GET").to_owned(),
        path: text(value, "path"),
        headers: pairs(&value["headers"]),
        body: value["body"].as_str().map(str::to_owned),
    }
}

fn expected(value: &Value) -> Option<Expected> {
    if value["aborted"] == Value::Bool(true) {
        return Some(Expected::Aborted);
    }
    Some(Expected::Answer {
        status: value["status"].as_u64()?.try_into().ok()?,
        headers: value["headers"]
            .is_object()
            .then(|| pairs(&value["headers"])),
        body: value["body"].as_str().map(str::to_owned),
    })
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let fields = value.as_object().cloned().unwrap_or_default();
    let pairs = fields.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    });
    pairs.collect()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
