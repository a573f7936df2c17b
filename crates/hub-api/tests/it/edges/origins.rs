//! Which pages may call: CORS for fetches, the Origin header for WebSockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use reqwest::Method;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, client::IntoClientRequest as _},
};

use crate::harness::Hub;

const LISTED: [&str; 4] = [
    "https://app.example.com",
    "capacitor://localhost",
    "ionic://localhost",
    "http://localhost",
];

async fn production_like() -> Hub {
    let listed = LISTED.join(",");
    Hub::with(&[
        ("ASPNETCORE_ENVIRONMENT", "Staging"),
        ("Jwt__Issuer", "tests"),
        ("Jwt__Audience", "tests"),
        ("Cors__AllowedOrigins", &listed),
    ])
    .await
}

/// The status of an attempt to open a WebSocket.
async fn upgrade(hub: &Hub, token: &str, origins: &[&str]) -> u16 {
    let url = format!(
        "ws://{}/hubs/plantanalysis?access_token={token}",
        hub.address()
    );
    let mut request = url.into_client_request().unwrap();
    for origin in origins {
        request
            .headers_mut()
            .append("Origin", origin.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((_, answer)) => answer.status().as_u16(),
        Err(Error::Http(answer)) => {
            assert!(answer.body().as_ref().is_none_or(Vec::is_empty));
            answer.status().as_u16()
        }
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn preflights_are_answered_for_listed_origins_with_credentials_and_for_no_other() {
    let hub = production_like().await;
    let preflight = |origin: &str| {
        hub.request(Method::OPTIONS, "/hubs/plantanalysis")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "authorization")
            .send()
    };
    for origin in LISTED {
        let answer = preflight(origin).await.unwrap();
        let headers = answer.headers();
        assert_eq!(headers["access-control-allow-origin"], origin);
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert_eq!(headers["access-control-allow-headers"], "authorization");
        assert!(headers["vary"].to_str().unwrap().contains("origin"));
    }
    for origin in [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "http://localhost:3000",
        "null",
    ] {
        let answer = preflight(origin).await.unwrap();
        let headers = answer.headers();
        assert!(
            !headers.contains_key("access-control-allow-origin"),
            "{origin}"
        );
    }
}

#[tokio::test]
async fn a_foreign_page_opens_no_websocket_even_with_a_good_token() {
    let hub = production_like().await;
    let token = hub.token_in_production("42");
    let own = format!("http://{}", hub.address());
    for good in [&[][..], &[LISTED[0]], &[LISTED[1]], &[&own]] {
        assert_eq!(upgrade(&hub, &token, good).await, 101, "{good:?}");
    }
    for bad in [
        &["https://evil.example"][..],
        &["null"],
        &["http://localhost:3000"],
        &[LISTED[0], "https://evil.example"],
    ] {
        assert_eq!(upgrade(&hub, &token, bad).await, 403, "{bad:?}");
    }
    // Who may not come in learns nothing of the token.
    assert_eq!(upgrade(&hub, "x.y.z", &["https://evil.example"]).await, 403);
    assert_eq!(upgrade(&hub, "x.y.z", &[LISTED[0]]).await, 401);
}
