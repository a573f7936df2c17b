//! New connections that the application sends elsewhere or refuses.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{Router, body::Body};
use http::{Request, StatusCode, request::Parts};
use signalr::{Admission, Hub, HubServer};
use tokio_tungstenite::tungstenite;
use tower::ServiceExt as _;

struct Quiet;

impl Hub for Quiet {}

/// Decides by a header.
fn by_header(request: &Parts) -> Admission {
    let wish = request
        .headers
        .get("x-wish")
        .map(|wish| wish.to_str().unwrap());
    let refuse = |status| Admission::Refuse {
        message: "not \"you\"".into(),
        status,
    };
    match wish {
        None => Admission::Open,
        Some("elsewhere") => Admission::Redirect {
            url: "https://other.example/hub".into(),
            access_token: Some("token".into()),
        },
        Some("elsewhere-as-you-are") => Admission::Redirect {
            url: "https://other.example/hub".into(),
            access_token: None,
        },
        Some("closed") => refuse(Some(StatusCode::SERVICE_UNAVAILABLE)),
        Some(_) => refuse(None),
    }
}

fn hub() -> HubServer {
    HubServer::builder(Quiet).gate(by_header).build().unwrap()
}

async fn negotiate(hub: &HubServer, query: &str, wish: &str) -> (StatusCode, String) {
    let request = Request::builder()
        .method("POST")
        .uri(format!("/hub/negotiate{query}"))
        .header("x-wish", wish)
        .body(Body::empty())
        .unwrap();
    let response = hub.service("/hub").oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 4096)
        .await
        .unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn negotiate_tells_where_to_go_or_why_not() {
    let hub = hub();
    for version in ["", "?negotiateVersion=1"] {
        for (wish, status, body) in [
            (
                "elsewhere",
                200,
                r#"{"url":"https://other.example/hub","accessToken":"token"}"#,
            ),
            (
                "elsewhere-as-you-are",
                200,
                r#"{"url":"https://other.example/hub"}"#,
            ),
            ("no", 200, r#"{"error":"not \u0022you\u0022"}"#),
            ("closed", 503, "not \"you\""),
        ] {
            let (got, text) = negotiate(&hub, version, wish).await;
            assert_eq!(
                (got.as_u16(), text.replace("\\\"", "\\u0022")),
                (status, body.to_owned())
            );
        }
    }
    // A request that is wrong anyhow is told so first.
    let (_, text) = negotiate(&hub, "?negotiateVersion=x", "elsewhere").await;
    assert!(text.contains("non-integer"), "{text}");
    assert_eq!(hub.connection_count(), 0);
}

#[tokio::test]
async fn a_web_socket_without_negotiation_passes_the_gate_too() {
    let app = Router::new().layer(hub().layer("/hub"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let connect = async |wish: Option<&str>| {
        use tungstenite::client::IntoClientRequest as _;
        let mut request = format!("ws://{address}/hub").into_client_request().unwrap();
        if let Some(wish) = wish {
            request
                .headers_mut()
                .insert("x-wish", wish.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((_, response)) => response.status().as_u16(),
            Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(connect(None).await, 101);
    assert_eq!(connect(Some("no")).await, 403);
    assert_eq!(connect(Some("elsewhere")).await, 403);
    assert_eq!(connect(Some("closed")).await, 503);
}
