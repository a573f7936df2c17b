//! Overlay pictures, which belong to an attempt.

use image::ImageFormat;
use reqwest::Method;

use crate::harness::{Hub, photo, problem};

#[tokio::test]
async fn overlays_are_judged_and_belong_to_the_attempt() {
    let hub = Hub::with(&[("Upload__MaxBytes", "100000")]).await;
    let id = hub.uploaded("42").await;
    let job = hub.leased().await;
    let token = job["token"].as_str().unwrap();
    let path = format!("/internal/analyses/{id}/overlay");
    let put = |path: &str, token: &str, body: Vec<u8>| {
        hub.internal(Method::PUT, path)
            .header("X-Attempt-Token", token)
            .body(body)
            .send()
    };
    let png = photo(ImageFormat::Png);
    problem(
        put(&path, token, b"<svg/>".to_vec()).await.unwrap(),
        415,
        Some("body"),
    )
    .await;
    problem(
        put(&path, token, Vec::new()).await.unwrap(),
        400,
        Some("body"),
    )
    .await;
    problem(
        put(&path, token, vec![0; 100_001]).await.unwrap(),
        413,
        Some("body"),
    )
    .await;
    problem(put(&path, "old", png.clone()).await.unwrap(), 409, None).await;
    problem(
        put("/internal/analyses/999/overlay", token, png.clone())
            .await
            .unwrap(),
        404,
        None,
    )
    .await;
    let bare = hub
        .internal(Method::PUT, &path)
        .body(png.clone())
        .send()
        .await
        .unwrap();
    problem(bare, 400, Some("X-Attempt-Token")).await;
    assert_eq!(put(&path, token, png.clone()).await.unwrap().status(), 204);
    assert_eq!(put(&path, token, png).await.unwrap().status(), 204);
    problem(
        hub.internal(Method::GET, "/internal/analyses/999/image")
            .send()
            .await
            .unwrap(),
        404,
        None,
    )
    .await;
}
