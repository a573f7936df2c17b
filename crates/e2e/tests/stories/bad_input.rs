//! Bad input gets a clear refusal and changes nothing; the good input behind it works.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use e2e::{Api, Clients, ConnectionOptions, System, log_check, photo};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{Method, RequestBuilder, Response, multipart};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::{COMPLETED, OWNER, PATIENCE, STRANGER};

const UPLOAD: &str = "/api/v1/plantanalyses/analyze-async";

#[tokio::test]
async fn files_that_are_no_photo() -> Result<()> {
    let system = System::start_default().await?;
    let api = system.api(OWNER);
    let jpeg = photo::small(1);
    let zip = b"PK\x03\x04\x14\x00\x00\x00\x08\x00".repeat(50);
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let mut posing = jpeg[..20].to_vec();
    posing.extend_from_slice(&zip);
    for (name, bytes, accepted) in [
        ("nothing", Vec::new(), &[400, 415][..]),
        ("text", b"not a photo at all".repeat(20), &[400, 415]),
        ("a zip file", zip, &[400, 415]),
        ("an SVG file", svg.to_vec(), &[400, 415]),
        (
            "a GIF file",
            b"GIF89a\x01\x00\x01\x00\x80\x00\x00".repeat(9),
            &[400, 415],
        ),
        ("a zip file behind a JPEG's start", posing, &[400, 415]),
        (
            "the first bytes of a photo",
            jpeg[..30].to_vec(),
            &[400, 415],
        ),
        ("half a photo", jpeg[..jpeg.len() / 2].to_vec(), &[400, 415]),
        ("a bomb of 10^10 pixels", bomb(), &[400, 413, 415, 422]),
    ] {
        let part = multipart::Part::bytes(bytes)
            .file_name("leaf.jpg")
            .mime_str("image/jpeg")?;
        let form = multipart::Form::new().part("image", part);
        let answer = api
            .request(Method::POST, UPLOAD)
            .multipart(form)
            .send()
            .await?;
        let problem = refused(name, answer, accepted).await?;
        ensure!(
            problem["errors"][0]["field"] == json!("image"),
            "{name}: {problem}"
        );
    }
    nothing_happened(&system).await
}

#[tokio::test]
async fn bodies_that_are_no_upload() -> Result<()> {
    let system = System::start_default().await?;
    let api = system.api(OWNER);
    let post = || api.request(Method::POST, UPLOAD);
    let text = |body: &str| {
        post()
            .header("content-type", "application/json")
            .body(body.to_owned())
    };
    let photo = STANDARD.encode(photo::small(1));
    let empty_form = multipart::Form::new().text("cropType", "wheat");
    for (name, request, accepted) in [
        ("no body", post(), &[400, 415][..]),
        ("broken JSON", text("{\"image\":"), &[400]),
        ("no object", text("[]"), &[400, 422]),
        ("deep JSON", text(&"[".repeat(100_000)), &[400]),
        (
            "no image",
            post().json(&json!({ "cropType": "wheat" })),
            &[400, 422],
        ),
        (
            "no image in a form",
            post().multipart(empty_form),
            &[400, 422],
        ),
        (
            "a number for an image",
            post().json(&json!({ "image": 7 })),
            &[400, 422],
        ),
        (
            "bad base64",
            post().json(&json!({ "image": "*not base64*" })),
            &[400],
        ),
        (
            "a data URL of text",
            post().json(&json!({ "image": "data:text/plain,hello" })),
            &[400, 415],
        ),
        (
            "a crop that is a list",
            post().json(&json!({ "image": photo, "cropType": [1] })),
            &[400, 422],
        ),
        (
            "plain http",
            post().json(&json!({ "imageUrl": "http://example.com/a.jpg" })),
            &[400, 422],
        ),
        (
            "an address inside",
            post().json(&json!({ "imageUrl": "https://127.0.0.1/a.jpg" })),
            &[400, 422],
        ),
        (
            "a host not on the list",
            post().json(&json!({ "imageUrl": "https://example.com/a.jpg" })),
            &[400, 422],
        ),
        (
            "a file",
            post().json(&json!({ "imageUrl": "file:///etc/passwd" })),
            &[400, 422],
        ),
        (
            "another type",
            post().header("content-type", "text/plain").body("hello"),
            &[415],
        ),
    ] {
        refused(name, request.send().await.context(name)?, accepted).await?;
    }
    too_large_is_refused_unread(&system).await?;
    nothing_happened(&system).await
}

#[tokio::test]
async fn callers_and_ids_that_do_not_count() -> Result<()> {
    let system = System::start_default().await?;
    let api = system.api(OWNER);
    let id = api.upload(photo::small(1)).await?;
    api.await_end(id, PATIENCE).await?;

    let mut expired = system.issuer.claims(OWNER);
    expired["exp"] = json!(1_600_000_000);
    let mut elsewhere = system.issuer.claims(OWNER);
    elsewhere["aud"] = json!("another-service");
    let forged = format!("{}x", system.issuer.token(OWNER));
    for (name, token) in [
        ("no token", String::new()),
        ("nonsense", "nonsense".to_owned()),
        ("expired", system.issuer.sign(&expired)),
        ("of another audience", system.issuer.sign(&elsewhere)),
        ("forged", forged),
    ] {
        let caller = Api::new(system.url(), token.clone());
        for path in [
            format!("/api/v1/plantanalyses/{id}"),
            "/api/v1/notifications".to_owned(),
        ] {
            refused(
                name,
                caller.request(Method::GET, &path).send().await?,
                &[401],
            )
            .await?;
        }
        let negotiate = reqwest::Client::new()
            .post(format!("{}/negotiate?negotiateVersion=1", system.hub_url()));
        let status = negotiate.bearer_auth(token).send().await?.status();
        ensure!(status == 401, "{name}: negotiate answered {status}");
    }
    let query = format!(
        "{}/api/v1/notifications?access_token={}",
        system.url(),
        system.issuer.token(OWNER)
    );
    refused(
        "a token in the query of REST",
        reqwest::get(query).await?,
        &[401],
    )
    .await?;

    let get = |path: &str| api.request(Method::GET, path);
    for (name, request, accepted) in [
        (
            "an unknown id",
            get("/api/v1/plantanalyses/999999"),
            &[404][..],
        ),
        ("id 0", get("/api/v1/plantanalyses/0"), &[400, 404]),
        (
            "a negative id",
            get("/api/v1/plantanalyses/-1"),
            &[400, 404],
        ),
        ("no number", get("/api/v1/plantanalyses/abc"), &[400, 404]),
        (
            "a huge id",
            get("/api/v1/plantanalyses/9223372036854775808"),
            &[400, 404],
        ),
        (
            "a limit in words",
            get("/api/v1/notifications?limit=many"),
            &[400],
        ),
        (
            "a negative sequence",
            get("/api/v1/notifications?after=-1"),
            &[400],
        ),
        ("an unknown path", get("/api/v1/nothing"), &[404]),
    ] {
        refused(name, request.send().await?, accepted).await?;
    }
    for body in [
        json!({}),
        json!({ "sequence": "one" }),
        json!({ "sequence": 0 }),
        json!(null),
    ] {
        let request = api
            .request(Method::POST, "/api/v1/notifications/ack")
            .json(&body);
        refused(&body.to_string(), request.send().await?, &[400, 422]).await?;
    }
    let other = system
        .api(STRANGER)
        .request(Method::GET, &format!("/api/v1/plantanalyses/{id}"));
    refused("somebody else's analysis", other.send().await?, &[404])
        .await
        .map(drop)
}

#[tokio::test]
async fn internal_calls_without_the_secret_or_sense() -> Result<()> {
    let system = System::start_default().await?;
    let post = |secret: &str, body: Value| -> RequestBuilder {
        let request = reqwest::Client::new().post(format!("{}/internal/notify", system.url()));
        request.header("X-Internal-Secret", secret).json(&body)
    };
    let good = json!({ "event": "ReportReady", "userId": OWNER, "payload": {} });
    for secret in ["", "wrong", &system.issuer.secret] {
        let problem = refused(
            "a wrong secret",
            post(secret, good.clone()).send().await?,
            &[401],
        )
        .await?;
        ensure!(!problem.to_string().contains(&system.internal_secret));
    }
    let with = |body: Value| post(&system.internal_secret, body);
    for (name, request) in [
        (
            "no user",
            with(json!({ "event": "ReportReady", "payload": {} })),
        ),
        ("no event", with(json!({ "userId": OWNER }))),
        (
            "a negative user",
            with(json!({ "event": "ReportReady", "userId": -1, "payload": {} })),
        ),
        (
            "an unknown type",
            with(json!({ "type": "analysis.maybe", "userId": OWNER, "notification": {} })),
        ),
        ("nothing", with(json!({}))),
        ("a list", with(json!([]))),
    ] {
        refused(name, request.send().await?, &[400, 422]).await?;
    }
    nothing_happened(&system).await
}

#[tokio::test]
async fn malformed_hub_messages_close_their_connection_only() -> Result<()> {
    let system = System::start_default().await?;
    let clients = Clients::start()?;
    let options =
        ConnectionOptions::new("bystander", &system.hub_url(), &system.issuer.token(OWNER));
    let bystander = clients.open(options).await?;
    let end = "\u{1e}";
    let handshake = format!("{{\"protocol\":\"json\",\"version\":1}}{end}");
    for (name, messages) in [
        ("no handshake", vec![format!("{{\"type\":6}}{end}")]),
        (
            "an unknown protocol",
            vec![format!("{{\"protocol\":\"xml\",\"version\":1}}{end}")],
        ),
        (
            "no JSON",
            vec![handshake.clone(), format!("{{\"type\":1,{end}")],
        ),
        ("no object", vec![handshake.clone(), format!("[]{end}")]),
        (
            "a type in words",
            vec![handshake.clone(), format!("{{\"type\":\"one\"}}{end}")],
        ),
        (
            "no target",
            vec![
                handshake.clone(),
                format!("{{\"type\":1,\"arguments\":[]}}{end}"),
            ],
        ),
        (
            "too long",
            vec![
                handshake.clone(),
                format!("{{\"type\":1,\"target\":\"{}\"}}{end}", "x".repeat(40_000)),
            ],
        ),
    ] {
        closes(&system, messages)
            .await
            .with_context(|| name.to_owned())?;
    }
    let id = system.api(OWNER).upload(photo::small(1)).await?;
    bystander
        .wait_for(PATIENCE, |told| told.is_about(COMPLETED, id))
        .await?;
    ensure!(
        !bystander.told().iter().any(|told| told.kind == "closed"),
        "the bystander was closed too"
    );
    Ok(())
}

/// A PNG that says it is 100,000 pixels wide and high, in 60 bytes.
fn bomb() -> Vec<u8> {
    let mut png = photo::png(&photo::leaf(8, 8, 0, 1));
    png[16..20].copy_from_slice(&100_000_u32.to_be_bytes());
    png[20..24].copy_from_slice(&100_000_u32.to_be_bytes());
    png
}

/// The head alone is enough for the answer: no byte of the body is sent.
async fn too_large_is_refused_unread(system: &System) -> Result<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", system.hub_port)).await?;
    let token = system.issuer.token(OWNER);
    let head = format!(
        "POST {UPLOAD} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let length = timeout(PATIENCE, socket.read(&mut answer))
        .await
        .context("it waits for the body")??;
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    ensure!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    Ok(())
}

/// A refusal has one of the statuses, and says what is wrong as a problem.
async fn refused(name: &str, answer: Response, accepted: &[u16]) -> Result<Value> {
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").cloned();
    let body = answer.text().await?;
    ensure!(
        accepted.contains(&status),
        "{name}: {status}, not one of {accepted:?}: {body}"
    );
    ensure!(
        kind.as_ref()
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json")),
        "{name}: {status} of type {kind:?}: {body}"
    );
    let problem: Value = serde_json::from_str(&body).with_context(|| format!("{name}: {body}"))?;
    ensure!(problem["status"] == json!(status), "{name}: {problem}");
    ensure!(
        problem["title"]
            .as_str()
            .is_some_and(|title| !title.is_empty()),
        "{name}: {problem}"
    );
    Ok(problem)
}

/// No analysis and no notification came of it, and a good photo still gets both.
async fn nothing_happened(system: &System) -> Result<()> {
    let api = system.api(OWNER);
    let page: Value = api.get("/api/v1/plantanalyses").await?;
    ensure!(page["items"] == json!([]), "{page}");
    ensure!(api.whole_log().await?.is_empty());
    let id = api.upload(photo::small(1)).await?;
    api.await_end(id, PATIENCE).await?;
    log_check::check_log(&api.whole_log().await?, &[id])
}

/// The hub closes the connection upon these messages, by itself and soon.
async fn closes(system: &System, messages: Vec<String>) -> Result<()> {
    let token = system.issuer.token(OWNER);
    let url = format!(
        "{}?access_token={token}",
        system.hub_url().replacen("http", "ws", 1)
    );
    let (mut socket, _) = connect_async(url).await?;
    for message in messages {
        socket.send(Message::text(message)).await?;
    }
    let closed = async {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(20), closed)
        .await
        .context("the connection stays open")
}
