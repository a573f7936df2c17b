//! Uploading photos, good and bad.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::ImageFormat;
use reqwest::{Method, multipart};
use serde_json::{Value, json};

use crate::harness::{Hub, photo, problem, read, sized};

const UPLOAD: &str = "/api/v1/plantanalyses/analyze-async";

#[tokio::test]
async fn a_photo_is_accepted_in_every_form() {
    let hub = Hub::start().await;
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let sent = hub.upload("42", photo(format)).send().await.unwrap();
        let location = sent.headers()["location"].to_str().unwrap().to_owned();
        let accepted = read(sent, 202).await;
        assert_eq!(accepted["status"], "Processing");
        assert_eq!(
            location,
            format!("/api/v1/plantanalyses/{}", accepted["analysisId"])
        );
        let analysis = hub.get_by("42", &location).await;
        assert_eq!(analysis["status"], "Processing");
        assert_eq!(analysis["userId"], 42);
        assert_eq!(analysis["cropType"], "wheat");
    }
    let base64 = STANDARD.encode(photo(ImageFormat::Png));
    for image in [base64.clone(), format!("data:image/jpeg;base64,{base64}")] {
        let body = json!({"image": image, "notes": "two\nlines"});
        let path = "/api/v1/plantanalyses/async";
        let sent = hub
            .by("42", Method::POST, path)
            .json(&body)
            .send()
            .await
            .unwrap();
        read(sent, 202).await;
    }
}

#[tokio::test]
async fn the_photo_opens_by_its_link_and_for_its_owner_only() {
    let hub = Hub::start().await;
    let bytes = photo(ImageFormat::Png);
    let id = read(hub.upload("42", bytes.clone()).send().await.unwrap(), 202).await["analysisId"]
        .clone();
    let path = format!("/api/v1/plantanalyses/{id}/image");
    let analysis = hub
        .get_by("42", &format!("/api/v1/plantanalyses/{id}"))
        .await;
    let link = analysis["imageUrl"].as_str().unwrap();
    let signed = link.split_once(&path).unwrap().1.to_owned();
    assert!(link.starts_with("http://localhost:"));

    let opened = hub.get(&format!("{path}{signed}")).send().await.unwrap();
    assert_eq!(opened.status(), 200);
    assert_eq!(opened.headers()["content-type"], "image/png");
    assert_eq!(opened.headers()["x-content-type-options"], "nosniff");
    assert!(
        opened.headers()["cache-control"]
            .to_str()
            .unwrap()
            .starts_with("private, max-age=")
    );
    let tag = opened.headers()["etag"].clone();
    assert_eq!(opened.bytes().await.unwrap().as_ref(), &bytes[..]);
    let again = hub
        .get(&format!("{path}{signed}"))
        .header("If-None-Match", tag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);

    let own = hub.by("42", Method::GET, &path).send().await.unwrap();
    assert_eq!(own.status(), 200);
    problem(
        hub.by("43", Method::GET, &path).send().await.unwrap(),
        404,
        None,
    )
    .await;
    problem(hub.get(&path).send().await.unwrap(), 401, None).await;
    let other = format!(
        "/api/v1/plantanalyses/{}/image{signed}",
        id.as_i64().unwrap() + 1
    );
    problem(hub.get(&other).send().await.unwrap(), 403, None).await;
    let forged = format!("{path}?expires=99999999999&signature=AAAA");
    problem(hub.get(&forged).send().await.unwrap(), 403, None).await;
    let overlay = format!("/api/v1/plantanalyses/{id}/overlay");
    problem(
        hub.by("42", Method::GET, &overlay).send().await.unwrap(),
        404,
        None,
    )
    .await;
}

#[tokio::test]
async fn somebody_elses_analysis_is_not_found_and_lists_are_paged() {
    let hub = Hub::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(hub.uploaded("42").await);
    }
    hub.uploaded("43").await;
    let path = format!("/api/v1/plantanalyses/{}", ids[0]);
    problem(
        hub.by("43", Method::GET, &path).send().await.unwrap(),
        404,
        None,
    )
    .await;
    let first = hub.get_by("42", "/api/v1/plantanalyses?limit=2").await;
    let listed = |page: &Value| -> Vec<i64> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["analysisId"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(listed(&first), [ids[2], ids[1]]);
    let next = format!(
        "/api/v1/plantanalyses?limit=2&before={}",
        first["nextBefore"]
    );
    let second = hub.get_by("42", &next).await;
    assert_eq!(listed(&second), [ids[0]]);
    assert_eq!(second["nextBefore"], Value::Null);
}

#[tokio::test]
async fn an_idempotency_key_gives_the_first_answer_once() {
    let hub = Hub::start().await;
    let image = photo(ImageFormat::Jpeg);
    let upload =
        |user: &str, image: Vec<u8>| hub.upload(user, image).header("Idempotency-Key", "key-1");
    let first = read(upload("42", image.clone()).send().await.unwrap(), 202).await;
    let again = read(upload("42", image.clone()).send().await.unwrap(), 202).await;
    assert_eq!(first, again);
    // The same photo as JSON is the same request.
    let body = json!({"image": STANDARD.encode(&image), "cropType": "wheat"});
    let json = hub
        .by("42", Method::POST, UPLOAD)
        .header("Idempotency-Key", "key-1")
        .json(&body);
    assert_eq!(read(json.send().await.unwrap(), 202).await, first);
    let other = upload("42", photo(ImageFormat::Png)).send().await.unwrap();
    problem(other, 409, Some("Idempotency-Key")).await;
    let else_one = read(upload("43", image).send().await.unwrap(), 202).await;
    assert_ne!(else_one["analysisId"], first["analysisId"]);
    let kept = files(&hub.data_dir().join("images"));
    assert_eq!(
        kept, 2,
        "photos of refused and repeated uploads are not kept"
    );
    let bad = hub
        .upload("42", photo(ImageFormat::Png))
        .header("Idempotency-Key", "a b");
    problem(bad.send().await.unwrap(), 400, Some("Idempotency-Key")).await;
}

fn files(dir: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

#[tokio::test]
async fn bad_photos_are_refused_with_what_is_wrong() {
    let hub = Hub::start().await;
    let jpeg = photo(ImageFormat::Jpeg);
    let mut bomb = photo(ImageFormat::Png);
    bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let large = sized(8000, 5001, ImageFormat::Png);
    for (image, status) in [
        (Vec::new(), 400),
        (b"not an image".to_vec(), 415),
        (b"GIF89a\x01\x00\x01\x00".to_vec(), 415),
        (b"PK\x03\x04zip posing as jpeg".to_vec(), 415),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>".to_vec(),
            415,
        ),
        (jpeg[..jpeg.len() / 2].to_vec(), 400),
        (jpeg[..3].to_vec(), 400),
        (b"\x89PNG\r\n\x1a\n".to_vec(), 400),
        (bomb, 400),
        (large, 413),
    ] {
        let sent = hub.upload("42", image).send().await.unwrap();
        problem(sent, status, Some("image")).await;
    }
    assert_eq!(files(&hub.data_dir().join("images")), 0);
    let list = hub.get_by("42", "/api/v1/plantanalyses").await;
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn bad_forms_are_refused_with_the_field() {
    let hub = Hub::with(&[("Upload__MaxBytes", "100000")]).await;
    let image = || multipart::Part::bytes(photo(ImageFormat::Jpeg)).file_name("a.jpg");
    let form = multipart::Form::new;
    let typed =
        |text: &'static str, kind: &str| multipart::Part::text(text).mime_str(kind).unwrap();
    for (form, status, field) in [
        (form(), 400, "body"),
        (form().text("cropType", "wheat"), 400, "image"),
        (
            form().part("image", image()).part("image", image()),
            400,
            "image",
        ),
        (form().part("image", image()).text("crop", "x"), 400, "crop"),
        (
            form()
                .part("image", image())
                .text("cropType", "x".repeat(101)),
            400,
            "cropType",
        ),
        (
            form().part("image", image()).text("cropType", "a\nb"),
            400,
            "cropType",
        ),
        (
            form().part("image", image()).text("notes", "a\0b"),
            400,
            "notes",
        ),
        (
            form()
                .part("image", image())
                .text("notes", "x".repeat(2001)),
            400,
            "notes",
        ),
        (
            form()
                .part("image", image())
                .text("notes", "x".repeat(9000)),
            413,
            "notes",
        ),
        (
            form()
                .part("image", image())
                .part("notes", typed("{}", "application/json")),
            415,
            "notes",
        ),
        (
            form().part("image", image()).part("notes", image()),
            415,
            "notes",
        ),
        (
            form().part("image", multipart::Part::bytes(vec![0; 100_001])),
            413,
            "image",
        ),
        (
            form().part("image", multipart::Part::bytes(vec![0; 5_000_000])),
            413,
            "image",
        ),
    ] {
        let sent = hub
            .by("42", Method::POST, UPLOAD)
            .multipart(form)
            .send()
            .await
            .unwrap();
        problem(sent, status, Some(field)).await;
    }
}

#[tokio::test]
async fn bad_json_is_refused_with_the_field() {
    let hub = Hub::with(&[
        ("Upload__MaxBytes", "100000"),
        ("Images__AllowedHosts__0", "images.example.com"),
    ])
    .await;
    let image = STANDARD.encode(photo(ImageFormat::Jpeg));
    for (body, status, field) in [
        (json!({}), 400, Some("image")),
        (json!([]), 400, Some("body")),
        (json!({"image": 1}), 400, Some("image")),
        (json!({"image": "not base64!"}), 400, Some("image")),
        (json!({"image": ""}), 400, Some("image")),
        (json!({"image": "data:image/png,plain"}), 400, Some("image")),
        (
            json!({"image": STANDARD.encode("no picture")}),
            415,
            Some("image"),
        ),
        (
            json!({"image": STANDARD.encode(vec![0; 100_001])}),
            413,
            Some("image"),
        ),
        (
            json!({"image": image, "cropType": 5}),
            400,
            Some("cropType"),
        ),
        (
            json!({"image": image, "notes": {"a": 1}}),
            400,
            Some("notes"),
        ),
        (
            json!({"image": image, "imageUrl": "https://images.example.com/a"}),
            400,
            Some("imageUrl"),
        ),
        (
            json!({"imageUrl": "http://images.example.com/a"}),
            400,
            Some("imageUrl"),
        ),
        (
            json!({"imageUrl": "https://127.0.0.1/a"}),
            400,
            Some("imageUrl"),
        ),
        (
            json!({"imageUrl": "https://images.example.com@evil.example/"}),
            400,
            Some("imageUrl"),
        ),
    ] {
        let sent = hub
            .by("42", Method::POST, UPLOAD)
            .json(&body)
            .send()
            .await
            .unwrap();
        problem(sent, status, field).await;
    }
    for (kind, body, status) in [
        ("application/json", "{", 400),
        ("application/json", "\u{feff}{}", 400),
        ("application/json", "{\"image\":NaN}", 400),
        ("text/plain", "{}", 415),
        ("application/xml", "<a/>", 415),
        ("multipart/form-data", "no boundary", 400),
        ("multipart/form-data; boundary=x", "--x\r\nnonsense", 400),
    ] {
        let sent = hub
            .by("42", Method::POST, UPLOAD)
            .header("Content-Type", kind)
            .body(body);
        problem(sent.send().await.unwrap(), status, None).await;
    }
    let good = json!({"imageUrl": "https://images.example.com/a.jpg"});
    let sent = hub
        .by("42", Method::POST, UPLOAD)
        .json(&good)
        .send()
        .await
        .unwrap();
    let id = read(sent, 202).await["analysisId"].clone();
    let analysis = hub
        .get_by("42", &format!("/api/v1/plantanalyses/{id}"))
        .await;
    assert_eq!(analysis["imageUrl"], "https://images.example.com/a.jpg");
}

#[tokio::test]
async fn no_address_is_accepted_unless_its_host_is_configured() {
    let hub = Hub::start().await;
    let body = json!({"imageUrl": "https://images.example.com/a.jpg"});
    let sent = hub
        .by("42", Method::POST, UPLOAD)
        .json(&body)
        .send()
        .await
        .unwrap();
    problem(sent, 400, Some("imageUrl")).await;
}
