//! Calls that come through proxies, trusted and not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use reqwest::Method;

use crate::harness::Hub;

async fn ping(hub: &Hub, header: Option<(&str, &str)>) -> u16 {
    let mut call = hub.internal(Method::GET, "/internal/ping");
    if let Some((name, value)) = header {
        call = call.header(name, value);
    }
    call.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_proxy_that_nobody_named_lends_its_loopback_address_to_nobody() {
    let hub = Hub::with(&[("Security__AllowedInternalIPs__0", "10.0.0.0/8")]).await;
    assert_eq!(ping(&hub, None).await, 204);
    for value in ["127.0.0.1", "10.1.1.1", "203.0.113.9", "unknown"] {
        assert_eq!(ping(&hub, Some(("X-Forwarded-For", value))).await, 403);
    }
    assert_eq!(ping(&hub, Some(("Forwarded", "for=127.0.0.1"))).await, 403);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_rightmost_other_hop_counts() {
    let hub = Hub::with(&[
        ("Server__TrustedProxies__0", "127.0.0.0/8"),
        ("Server__TrustedProxies__1", "::1"),
        ("Security__AllowedInternalIPs__0", "10.0.0.0/8"),
    ])
    .await;
    for (value, status) in [
        ("10.1.1.1", 204),
        ("203.0.113.9, 10.1.1.1", 204),
        ("10.1.1.1, 203.0.113.9", 403),
        ("127.0.0.1, 203.0.113.9", 403),
        ("127.0.0.1, [2001:db8::1]:80", 403),
    ] {
        let got = ping(&hub, Some(("X-Forwarded-For", value))).await;
        assert_eq!(got, status, "{value}");
    }
}

#[tokio::test]
async fn sources_behind_a_trusted_proxy_have_a_rate_each() {
    let hub = Hub::with(&[
        ("Server__TrustedProxies", "127.0.0.0/8, ::1"),
        ("Security__InternalRequestsPerMinute", "3"),
    ])
    .await;
    for _ in 0..3 {
        assert_eq!(
            ping(&hub, Some(("X-Forwarded-For", "203.0.113.9"))).await,
            204
        );
    }
    assert_eq!(
        ping(&hub, Some(("X-Forwarded-For", "203.0.113.9"))).await,
        429
    );
    assert_eq!(
        ping(&hub, Some(("X-Forwarded-For", "203.0.113.10"))).await,
        204
    );
    // An IPv6 host chooses its address among those of its network.
    for host in 0..3 {
        let address = format!("2001:db8:1:2::{host:x}");
        assert_eq!(ping(&hub, Some(("X-Forwarded-For", &address))).await, 204);
    }
    let next = Some(("X-Forwarded-For", "2001:db8:1:2::99"));
    assert_eq!(ping(&hub, next).await, 429);
}
