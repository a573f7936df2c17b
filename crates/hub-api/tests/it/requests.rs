//! Requests that ask wrongly: tokens, ids, parameters, paths, methods.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{Hub, problem, read};

const PROTECTED: [(&str, &str); 8] = [
    ("POST", "/api/v1/plantanalyses/analyze-async"),
    ("POST", "/api/v1/plantanalyses/async"),
    ("GET", "/api/v1/plantanalyses"),
    ("GET", "/api/v1/plantanalyses/1"),
    ("GET", "/api/v1/plantanalyses/1/image"),
    ("GET", "/api/v1/notifications"),
    ("POST", "/api/v1/notifications/ack"),
    ("GET", "/api/v1/notifications/unread-count"),
];

#[tokio::test]
async fn without_a_valid_token_there_is_nothing() {
    let hub = Hub::start().await;
    let good = hub.token("42");
    let (head, rest) = good.split_once('.').unwrap();
    let unsigned = format!("{head}.{}.", rest.split_once('.').unwrap().0);
    for (method, path) in PROTECTED {
        let request = || hub.request(method.parse().unwrap(), path);
        let bare = request().send().await.unwrap();
        assert_eq!(bare.headers()["www-authenticate"], "Bearer");
        problem(bare, 401, None).await;
        for header in [
            "Bearer",
            "Bearer ",
            "Bearer x.y.z",
            "Basic NDI6eA==",
            &format!("Bearer {unsigned}"),
            &format!("Token {good}"),
        ] {
            let sent = request()
                .header("Authorization", header)
                .send()
                .await
                .unwrap();
            assert!(sent.headers().contains_key("www-authenticate"));
            problem(sent, 401, None).await;
        }
        // REST takes no token from the address.
        let query = hub.request(
            method.parse().unwrap(),
            &format!("{path}?access_token={good}"),
        );
        problem(query.send().await.unwrap(), 401, None).await;
    }
}

#[tokio::test]
async fn hubs_take_the_token_from_the_address_and_refuse_with_an_empty_body() {
    let hub = Hub::start().await;
    let negotiate = "/hubs/plantanalysis/negotiate?negotiateVersion=1";
    let refused = hub.post(negotiate).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    assert_eq!(refused.text().await.unwrap(), "");
    let wrong = hub
        .post(&format!("{negotiate}&access_token=x.y.z"))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(wrong.text().await.unwrap(), "");
    let token = hub.token("42");
    for request in [
        hub.post(&format!("{negotiate}&access_token={token}")),
        hub.post(negotiate).bearer_auth(&token),
        hub.post(&negotiate.to_ascii_uppercase())
            .bearer_auth(&token),
    ] {
        let answer = read(request.send().await.unwrap(), 200).await;
        assert!(answer["connectionToken"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn ids_and_parameters_are_checked() {
    let hub = Hub::start().await;
    for (path, status, field) in [
        ("/api/v1/plantanalyses/0", 400, Some("id")),
        ("/api/v1/plantanalyses/-1", 400, Some("id")),
        ("/api/v1/plantanalyses/abc", 400, Some("id")),
        ("/api/v1/plantanalyses/1.0", 400, Some("id")),
        ("/api/v1/plantanalyses/9223372036854775808", 400, Some("id")),
        ("/api/v1/plantanalyses/%ff", 400, Some("id")),
        ("/api/v1/plantanalyses/9223372036854775807", 404, None),
        ("/api/v1/plantanalyses/7", 404, None),
        ("/api/v1/plantanalyses?limit=ten", 400, Some("limit")),
        ("/api/v1/plantanalyses?limit=1&limit=2", 400, Some("limit")),
        ("/api/v1/plantanalyses?before=-1", 400, Some("before")),
        (
            "/api/v1/plantanalyses?before=99999999999999999999",
            400,
            Some("before"),
        ),
        ("/api/v1/notifications?after=-1", 400, Some("after")),
        ("/api/v1/notifications?after=x", 400, Some("after")),
        ("/api/v1/notifications?limit=1e9", 400, Some("limit")),
        ("/api/v1/nothing", 404, None),
        ("/nothing", 404, None),
        ("/api/v1/plantanalyses/1/../../../etc/passwd", 404, None),
    ] {
        problem(
            hub.by("42", Method::GET, path).send().await.unwrap(),
            status,
            field,
        )
        .await;
    }
    for path in [
        "/api/v1/plantanalyses?limit=1000000000",
        "/api/v1/plantanalyses?limit=-3",
        "/api/v1/notifications?after=9223372036854775807",
    ] {
        hub.get_by("42", path).await;
    }
}

#[tokio::test]
async fn acknowledgements_are_checked() {
    let hub = Hub::start().await;
    let path = "/api/v1/notifications/ack";
    for (body, field) in [
        (json!({}), "sequence"),
        (json!({"sequence": 0}), "sequence"),
        (json!({"sequence": -1}), "sequence"),
        (json!({"sequence": "1"}), "sequence"),
        (json!({"sequence": 1.5}), "sequence"),
        (json!({"sequence": 9223372036854775808u64}), "sequence"),
        (json!(7), "body"),
    ] {
        let sent = hub
            .by("42", Method::POST, path)
            .json(&body)
            .send()
            .await
            .unwrap();
        problem(sent, 400, Some(field)).await;
    }
    let plain = hub
        .by("42", Method::POST, path)
        .body("{\"sequence\":1}")
        .send()
        .await
        .unwrap();
    problem(plain, 415, Some("Content-Type")).await;
    let long = hub
        .by("42", Method::POST, path)
        .json(&json!({"sequence": 1, "x": "y".repeat(70_000)}));
    problem(long.send().await.unwrap(), 413, Some("body")).await;
}

#[tokio::test]
async fn other_methods_are_named_in_allow() {
    let hub = Hub::start().await;
    let sent = hub
        .by("42", Method::DELETE, "/api/v1/plantanalyses")
        .send()
        .await
        .unwrap();
    let allow = sent.headers()["allow"].to_str().unwrap().to_owned();
    assert!(allow.contains("GET"), "{allow}");
    problem(sent, 405, None).await;
}

#[tokio::test]
async fn answers_carry_security_headers_and_cors_for_configured_origins() {
    let hub = Hub::with(&[("Cors__AllowedOrigins__0", "https://app.example.com")]).await;
    let plain = hub.get("/health/live").send().await.unwrap();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        assert_eq!(plain.headers()[name], value);
    }
    let preflight = |origin: &'static str| {
        hub.request(Method::OPTIONS, "/hubs/plantanalysis/negotiate")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header(
                "Access-Control-Request-Headers",
                "authorization,x-requested-with,x-signalr-user-agent",
            )
            .send()
    };
    let good = preflight("https://app.example.com").await.unwrap();
    assert_eq!(good.status(), 200);
    assert_eq!(
        good.headers()["access-control-allow-origin"],
        "https://app.example.com"
    );
    assert_eq!(good.headers()["access-control-allow-credentials"], "true");
    let allowed = good.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(allowed.contains("x-signalr-user-agent"), "{allowed}");
    let bad = preflight("https://evil.example").await.unwrap();
    assert!(!bad.headers().contains_key("access-control-allow-origin"));
    let refused = hub
        .get("/api/v1/plantanalyses")
        .header("Origin", "https://app.example.com");
    let refused = refused.send().await.unwrap();
    assert_eq!(
        refused.headers()["access-control-allow-origin"],
        "https://app.example.com"
    );
    problem(refused, 401, None).await;
}

#[tokio::test]
async fn health_is_told_and_readiness_fails_while_leaving() {
    let hub = Hub::with(&[("Drain__Delay", "1")]).await;
    for path in ["/health", "/api/health", "/health/ready"] {
        let report = read(hub.get(path).send().await.unwrap(), 200).await;
        assert_eq!(report["status"], "Healthy", "{report}");
        let names: Vec<&str> = report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["database", "images", "jobs", "signalr"]);
        assert!(report["checks"][0]["durationMs"].is_number());
    }
    let signalr = read(hub.get("/health/signalr").send().await.unwrap(), 200).await;
    assert_eq!(signalr["data"]["connections"], 0);
    hub.shutdown.begin();
    assert_eq!(hub.get("/health/ready").send().await.unwrap().status(), 503);
    // It still serves, and then it leaves by itself.
    hub.get_by("42", "/api/v1/plantanalyses").await;
    let mut hub = hub;
    hub.left().await.unwrap();
    assert!(hub.get("/health/live").send().await.is_err());
}

#[tokio::test]
async fn the_document_lists_what_is_served() {
    let hub = Hub::start().await;
    let document: Value = read(hub.get("/openapi.json").send().await.unwrap(), 200).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let mut served = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let sent = hub
                .request(method.clone(), &path.replace("{id}", "7"))
                .send()
                .await
                .unwrap();
            let body = sent.text().await.unwrap();
            assert!(
                !body.contains("No such path"),
                "{method} {path} is not served"
            );
            assert!(
                !body.contains("method-not-allowed"),
                "{method} {path} is not served"
            );
            served += 1;
        }
    }
    assert!(served >= 24, "{served}");
    let secured = &document["paths"]["/api/v1/plantanalyses"]["get"]["security"];
    assert_eq!(*secured, json!([{"bearer": []}]));
    insta::assert_json_snapshot!("routes", routes(&document));
}

/// Method, path and statuses of each operation.
fn routes(document: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let statuses: Vec<&str> = operation["responses"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            all.push(format!(
                "{} {path}: {}",
                method.to_ascii_uppercase(),
                statuses.join(" ")
            ));
        }
    }
    all
}

/// Sends raw bytes and gives what comes back until the hub closes.
async fn raw(hub: &Hub, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(hub.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("the hub closes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let hub = Hub::start().await;
    assert!(
        raw(&hub, b"GARBAGE\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 400")
    );
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    let answer = raw(&hub, long.as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 414"),
        "{answer}"
    );
    let smuggled = "POST /internal/notify HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\
        Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    let answer = raw(&hub, smuggled.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

#[tokio::test]
async fn silent_and_slow_connections_are_closed() {
    let hub = Hub::with(&[
        ("Server__FirstByteTimeout", "200ms"),
        ("Server__HeaderTimeout", "200ms"),
        ("Server__BodyIdleTimeout", "200ms"),
        ("Server__RequestTimeout", "1s"),
    ])
    .await;
    assert_eq!(raw(&hub, b"").await, "");
    let answer = raw(&hub, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    let token = hub.token("42");
    let head = format!(
        "POST /api/v1/notifications/ack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n{{\"seq"
    );
    let stalled = raw(&hub, head.as_bytes()).await;
    assert!(stalled.starts_with("HTTP/1.1 408"), "{stalled}");
    // Dribbling: never a pause, and never an end.
    let mut stream = TcpStream::connect(hub.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..40 {
        if stream.write_all(b" ").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn connections_above_the_limit_wait_until_an_idle_one_is_closed() {
    let hub = Hub::with(&[
        ("Server__MaxConnections", "1"),
        ("Server__IdleTimeout", "5s"),
    ])
    .await;
    // The harness' own connection has the only place until it was idle for too long.
    let mut stream = TcpStream::connect(hub.address()).await.unwrap();
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = vec![0; 12];
    let early =
        tokio::time::timeout(Duration::from_millis(300), stream.read_exact(&mut answer)).await;
    assert!(early.is_err(), "it was served beside the only one");
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let hub = Hub::start().await;
    let token = hub.token("42");
    let head = format!(
        "POST /api/v1/plantanalyses/analyze-async HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n"
    );
    let answer = raw(&hub, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn a_body_that_nobody_reads_ends_its_connection_and_the_answer_says_so() {
    let hub = Hub::start().await;
    let path = "/api/v1/notifications/ack";
    let large = || hub.post(path).body(vec![b'x'; 2_000_000]).send();
    for _ in 0..20 {
        let refused = large().await.unwrap();
        assert_eq!(refused.headers()["connection"], "close");
        problem(refused, 401, None).await;
        // The next request goes its own way.
        let body = json!({"sequence": 0});
        let sent = hub
            .by("42", Method::POST, path)
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(!sent.headers().contains_key("connection"));
        problem(sent, 400, Some("sequence")).await;
    }
}
