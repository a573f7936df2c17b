//! `client/src/generated.ts` holds the types of `shared-dto`, as TypeScript.
//!
//! `RENEW=1 cargo test -p web-client` writes it; without, the test fails where
//! it is not what the Rust types say.

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::Path};

use serde_json::Value;
use shared_dto::{analysis, development, notification, problem};
use utoipa::OpenApi;

/// What clients send and receive; what these types refer to comes along.
#[derive(OpenApi)]
#[openapi(components(schemas(
    analysis::Analysis,
    analysis::AnalysisAccepted,
    analysis::AnalysisPage,
    analysis::AnalysisResult,
    analysis::AnalysisStatus,
    analysis::Progress,
    analysis::Symptom,
    development::DevelopmentToken,
    development::DevelopmentTokenRequest,
    notification::AcknowledgeRequest,
    notification::AnalysisCompleted,
    notification::AnalysisFailed,
    notification::AnalysisProgress,
    notification::Notification,
    notification::NotificationPage,
    notification::Resumed,
    notification::UnreadCount,
    problem::FieldError,
    problem::Problem,
    shared_dto::UserId,
)))]
struct ClientTypes;

const HEADER: &str = "\
// The types that cross the border between hub and client. Generated from the Rust crate
// `shared-dto`; change it there, then run `RENEW=1 cargo test -p web-client`.
";

#[test]
fn are_those_of_the_rust_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("client/src/generated.ts");
    let expected = typescript();
    if env::var_os("RENEW").is_some() {
        fs::write(&path, &expected).expect("the file can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what the Rust types say: run RENEW=1 cargo test -p web-client",
        path.display()
    );
}

fn typescript() -> String {
    let document = serde_json::to_value(ClientTypes::openapi()).expect("a document is JSON");
    let schemas: BTreeMap<String, Value> =
        serde_json::from_value(document["components"]["schemas"].clone()).expect("named schemas");
    let mut code = String::from(HEADER);
    for (name, schema) in &schemas {
        code.push('\n');
        comment(&mut code, "", schema);
        let members = schema["properties"].as_object();
        let written = match members {
            Some(members) => interface(&mut code, name, schema, members),
            None => writeln!(code, "export type {name} = {};", type_of(schema)),
        };
        written.expect("a string takes everything");
    }
    code
}

fn interface(
    code: &mut String,
    name: &str,
    schema: &Value,
    members: &serde_json::Map<String, Value>,
) -> std::fmt::Result {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    writeln!(code, "export interface {name} {{")?;
    for (member, schema) in members {
        comment(code, "  ", schema);
        let optional = if required.iter().any(|name| name == member) {
            ""
        } else {
            "?"
        };
        writeln!(code, "  readonly {member}{optional}: {};", type_of(schema))?;
    }
    writeln!(code, "}}")
}

fn comment(code: &mut String, indent: &str, schema: &Value) {
    let Some(text) = schema["description"].as_str() else {
        return;
    };
    // Rust's links to items mean nothing here.
    let text = text.replace("[`", "`").replace("`]", "`");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    if let [line] = lines[..] {
        code.push_str(&format!("{indent}/** {line} */\n"));
        return;
    }
    code.push_str(&format!("{indent}/**\n"));
    for line in lines {
        let space = if line.is_empty() { "" } else { " " };
        code.push_str(&format!("{indent} *{space}{line}\n"));
    }
    code.push_str(&format!("{indent} */\n"));
}

fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or(reference).to_owned();
    }
    for alternatives in ["oneOf", "anyOf"] {
        if let Some(all) = schema[alternatives].as_array() {
            return all.iter().map(type_of).collect::<Vec<_>>().join(" | ");
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().map(type_of).collect::<Vec<_>>().join(" & ");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(" | ")
            .replace('"', "'");
    }
    match &schema["type"] {
        Value::Array(all) => {
            let one = |kind: &Value| {
                let mut alone = schema.clone();
                alone["type"] = kind.clone();
                type_of(&alone)
            };
            all.iter().map(one).collect::<Vec<_>>().join(" | ")
        }
        Value::String(kind) => match kind.as_str() {
            "integer" | "number" => "number".to_owned(),
            "boolean" => "boolean".to_owned(),
            "null" => "null".to_owned(),
            "string" => "string".to_owned(),
            "array" => format!("readonly {}[]", grouped(&type_of(&schema["items"]))),
            _ => "unknown".to_owned(),
        },
        _ => "unknown".to_owned(),
    }
}

/// `A | B` before `[]` needs brackets.
fn grouped(text: &str) -> String {
    if text.contains(' ') {
        format!("({text})")
    } else {
        text.to_owned()
    }
}
