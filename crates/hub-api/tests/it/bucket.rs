//! Images in an S3-compatible store.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use private_services::S3;
use reqwest::Method;
use serde_json::Value;

use crate::harness::{Hub, photo, problem, read};

async fn hub_with(endpoint: &str, bucket: &str) -> Hub {
    Hub::with(&[
        ("S3__Endpoint", endpoint),
        ("S3__Bucket", bucket),
        ("S3__AccessKey", "test"),
        ("S3__SecretKey", "a secret of the store"),
    ])
    .await
}

async fn images_check(hub: &Hub) -> Value {
    let health = hub.get("/health").send().await.unwrap();
    let health: Value = health.json().await.unwrap();
    let checks = health["checks"].as_array().unwrap();
    let images = checks.iter().find(|check| check["name"] == "images");
    images.unwrap().clone()
}

#[tokio::test]
async fn photos_and_overlays_are_kept_in_the_bucket() {
    let store = S3::shared().await;
    let bucket = store.new_bucket().await.unwrap();
    let hub = hub_with(&store.endpoint(), &bucket).await;
    assert_eq!(images_check(&hub).await["status"], "Healthy");

    let id = hub.uploaded("42").await;
    let job = hub.leased().await;
    let at_hub = hub.internal(Method::GET, job["imagePath"].as_str().unwrap());
    let image = at_hub.send().await.unwrap();
    assert_eq!(image.headers()["content-type"], "image/jpeg");
    let image = image.bytes().await.unwrap();
    assert_eq!(image, photo(image::ImageFormat::Jpeg));

    let overlay = photo(image::ImageFormat::Png);
    let put = hub
        .internal(Method::PUT, &format!("/internal/analyses/{id}/overlay"))
        .header("X-Attempt-Token", job["token"].as_str().unwrap())
        .header("Content-Type", "image/png")
        .body(overlay.clone());
    assert!(put.send().await.unwrap().status().is_success());
    let path = format!("/api/v1/plantanalyses/{id}/overlay");
    let seen = hub.by("42", Method::GET, &path).send().await.unwrap();
    assert_eq!(seen.bytes().await.unwrap(), overlay);
    assert!(
        !hub.data_dir().join("images").exists(),
        "nothing of it is on the hub's disk"
    );
}

#[tokio::test]
async fn a_store_that_is_away_refuses_photos_for_now_and_nothing_else() {
    let mut store = S3::start().await.unwrap();
    let bucket = store.new_bucket().await.unwrap();
    let hub = hub_with(&store.endpoint(), &bucket).await;
    store.process.kill().await.unwrap();

    let sent = hub.upload("42", photo(image::ImageFormat::Png));
    let refused = sent.send().await.unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    let told = problem(refused, 503, None).await.to_string();
    assert!(!told.contains(&store.endpoint()), "{told}");
    assert_eq!(images_check(&hub).await["status"], "Degraded");
    read(hub.get("/health/ready").send().await.unwrap(), 200).await;

    store.process.start_again().await.unwrap();
    // It comes back empty.
    assert_eq!(store.new_bucket().await.unwrap(), "bucket-1");
    let hub = hub_with(&store.endpoint(), "bucket-1").await;
    hub.uploaded("42").await;
}
