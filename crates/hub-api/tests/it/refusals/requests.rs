//! Bad requests of known users, and internal calls of strangers.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{
    Case,
    process::{HubProcess, INTERNAL},
};

const ACK: &str = "/api/v1/notifications/ack";
const UPLOAD: &str = "/api/v1/plantanalyses/analyze-async";
const NOTIFY: &str = "/internal/notify";
const DEPLOYED: &str = "/api/internal/signalr/analysis-completed";

pub(super) fn cases(hub: &HubProcess) -> Vec<Case> {
    let mut cases = internal_calls(hub);
    cases.extend(bodies(hub));
    cases.extend(addresses(hub));
    cases.extend(uploads(hub));
    cases
}

fn named<const N: usize>(cases: [(&'static str, RequestBuilder); N]) -> Vec<Case> {
    cases
        .into_iter()
        .map(|(name, request)| Case { name, request })
        .collect()
}

fn internal_calls(hub: &HubProcess) -> Vec<Case> {
    let body = json!({"event": "Bad", "userId": 42, "payload": {}});
    let call = |secret: &str| {
        hub.post(NOTIFY)
            .header("X-Internal-Secret", hub.secret(secret))
            .json(&body)
    };
    let deployed = json!({"userId": 42, "notification": {"analysisId": 1, "status": "Completed"}});
    let mut wrong = deployed.clone();
    wrong["internalSecret"] = json!(hub.secret("a wrong secret in a body"));
    let known = |body: &Value| {
        hub.post(NOTIFY)
            .header("X-Internal-Secret", INTERNAL)
            .json(body)
    };
    named([
        (
            "an internal call without a secret",
            hub.post(NOTIFY).json(&body),
        ),
        (
            "an internal call with another secret",
            call("a wrong secret of the tests"),
        ),
        (
            "an internal call with half the secret",
            call(&INTERNAL[..16]),
        ),
        (
            "an internal call with more than the secret",
            call(&format!("{INTERNAL}x")),
        ),
        (
            "an internal call through a proxy",
            known(&body).header("X-Forwarded-For", "10.0.0.1"),
        ),
        (
            "an internal call that says it is local",
            known(&body).header("X-Forwarded-For", "127.0.0.1"),
        ),
        (
            "an internal call by Forwarded",
            known(&body).header("Forwarded", "for=127.0.0.1"),
        ),
        (
            "a user's token in place of the secret",
            hub.post(NOTIFY)
                .bearer_auth(hub.token(&json!({})))
                .json(&body),
        ),
        (
            "the deployed contract without a secret",
            hub.post(DEPLOYED).json(&deployed),
        ),
        (
            "the deployed contract with another secret",
            hub.post(DEPLOYED).json(&wrong),
        ),
        (
            "a notification without a user",
            known(&json!({"event": "Bad", "payload": {}})),
        ),
        ("a notification of nothing", known(&json!({"userId": 42}))),
        (
            "an attempt of no job",
            known(&json!({
                "userId": 43, "notification": {"analysisId": 1, "status": "Completed"},
                "attempt": {"jobId": 99, "token": "none"}
            })),
        ),
        (
            "an old key with another body",
            known(&json!({"event": "Bad", "userId": 43, "payload": {}}))
                .header("Idempotency-Key", "prepared"),
        ),
        (
            "a key that is none",
            known(&body).header("Idempotency-Key", "x".repeat(300)),
        ),
        (
            "a lease of nothing",
            hub.post("/internal/jobs/lease")
                .header("X-Internal-Secret", INTERNAL)
                .json(&json!({"workerId": "", "maxJobs": 0})),
        ),
        (
            "a heartbeat of no job",
            hub.post("/internal/jobs/99/heartbeat")
                .header("X-Internal-Secret", INTERNAL)
                .json(&json!({"token": "none"})),
        ),
    ])
}

fn bodies(hub: &HubProcess) -> Vec<Case> {
    let ack = |body: Vec<u8>| {
        hub.post(ACK)
            .bearer_auth(hub.token(&json!({})))
            .header("Content-Type", "application/json")
            .body(body)
    };
    let nested = |depth: usize| {
        let body = format!(
            "{{\"sequence\":{}1{}}}",
            "[".repeat(depth),
            "]".repeat(depth)
        );
        ack(body.into_bytes())
    };
    let text = |body: &str| ack(body.as_bytes().to_vec());
    named([
        ("no body", ack(Vec::new())),
        (
            "a body of another type",
            hub.post(ACK)
                .bearer_auth(hub.token(&json!({})))
                .body("{\"sequence\":1}"),
        ),
        ("128 levels", nested(128)),
        ("20000 levels", nested(20_000)),
        ("bad UTF-8", ack(b"{\"sequence\":\"\xff\"}".to_vec())),
        ("a byte order mark", text("\u{feff}{\"sequence\":1}")),
        ("NaN", text("{\"sequence\":NaN}")),
        ("1e400", text("{\"sequence\":1e400}")),
        ("a body and more", text("{\"sequence\":1} {}")),
        ("a key twice", text("{\"sequence\":1,\"sequence\":2}")),
        ("a lone surrogate", text("{\"sequence\":\"\\ud800\"}")),
        (
            "a number beyond 64 bits",
            text("{\"sequence\":9223372036854775808}"),
        ),
        ("a sequence of 0", text("{\"sequence\":0}")),
        ("a fraction", text("{\"sequence\":1.5}")),
        (
            "70 kB",
            text(&format!(
                "{{\"sequence\":1,\"x\":\"{}\"}}",
                "y".repeat(70_000)
            )),
        ),
    ])
}

fn addresses(hub: &HubProcess) -> Vec<Case> {
    let get = |path: &str| hub.get(path).bearer_auth(hub.token(&json!({})));
    let delete = hub.request(Method::DELETE, "/api/v1/plantanalyses");
    named([
        ("somebody else's analysis", get("/api/v1/plantanalyses/1")),
        (
            "somebody else's photo",
            get("/api/v1/plantanalyses/1/image"),
        ),
        ("analysis 0", get("/api/v1/plantanalyses/0")),
        ("analysis -1", get("/api/v1/plantanalyses/-1")),
        (
            "an analysis beyond 64 bits",
            get("/api/v1/plantanalyses/9223372036854775808"),
        ),
        ("an analysis in words", get("/api/v1/plantanalyses/one")),
        ("an analysis of bad UTF-8", get("/api/v1/plantanalyses/%ff")),
        ("after -1", get("/api/v1/notifications?after=-1")),
        ("after in words", get("/api/v1/notifications?after=x")),
        ("a limit of 1e9", get("/api/v1/notifications?limit=1e9")),
        (
            "a parameter twice",
            get("/api/v1/plantanalyses?limit=1&limit=2"),
        ),
        ("a path that is none", get("/api/v1/nothing")),
        (
            "a photo by a link that was changed",
            hub.get("/api/v1/plantanalyses/1/image?exp=99999999999&sig=AAAA"),
        ),
        (
            "a method that is none",
            delete.bearer_auth(hub.token(&json!({}))),
        ),
    ])
}

fn uploads(hub: &HubProcess) -> Vec<Case> {
    let by_url = |url: &str| {
        hub.post(UPLOAD)
            .bearer_auth(hub.token(&json!({})))
            .json(&json!({ "imageUrl": url }))
    };
    let json = |body: &Value| {
        hub.post(UPLOAD)
            .bearer_auth(hub.token(&json!({})))
            .json(body)
    };
    let plain = hub.post(UPLOAD).bearer_auth(hub.token(&json!({})));
    named([
        ("an upload of nothing", json(&json!({}))),
        (
            "a photo that is none",
            json(&json!({"image": "bm8gcGhvdG8gYXQgYWxs"})),
        ),
        ("a photo that is no base64", json(&json!({"image": "%%%"}))),
        (
            "a photo as a text",
            plain.header("Content-Type", "text/plain").body("photo"),
        ),
        (
            "a crop type with U+0000",
            json(&json!({"imageUrl": "https://images.example.com/a.jpg", "cropType": "a\u{0}b"})),
        ),
        ("a photo by http", by_url("http://images.example.com/a.jpg")),
        (
            "a photo of another host",
            by_url("https://evil.example/a.jpg"),
        ),
        (
            "a host with a user",
            by_url("https://images.example.com@127.0.0.1/a.jpg"),
        ),
        (
            "127.0.0.1 as one number",
            by_url("https://2130706433/a.jpg"),
        ),
        ("127.0.0.1 in base 16", by_url("https://0x7f.1/a.jpg")),
        (
            "127.0.0.1 in wide letters",
            by_url("https://127\u{3002}0\u{3002}0\u{3002}1/a.jpg"),
        ),
        (
            "127.0.0.1 in percent signs",
            by_url("https://%31%32%37.0.0.1/a.jpg"),
        ),
        (
            "127.0.0.1 as IPv6",
            by_url("https://[::ffff:127.0.0.1]/a.jpg"),
        ),
        ("localhost with a dot", by_url("https://localhost./a.jpg")),
        ("a file", by_url("file:///etc/passwd")),
        ("port 0", by_url("https://images.example.com:0/a.jpg")),
    ])
}
