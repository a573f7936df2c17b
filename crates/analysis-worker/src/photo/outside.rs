//! Fetching a photo from an address that an uploader gave.
//!
//! The name is resolved once, every resolved address must be public, and the
//! connection goes to exactly those: a name that resolves otherwise the second
//! time (DNS rebinding) gains nothing. No redirect is followed, no proxy used.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use reqwest::{Client, Url, redirect};

use super::public_address;
use crate::body::{self, BodyError};

/// Why there is no photo.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The address is not one that may be fetched.
    #[error("the photo's address is not allowed: {0}")]
    Address(String),
    /// No answer, or a broken one.
    #[error("the photo's host cannot be reached: {0}")]
    Unreachable(String),
    /// The host cannot serve now.
    #[error("the photo's host answered {0}")]
    Unavailable(StatusCode),
    /// The host has no photo for us.
    #[error("the photo's host refused with {0}")]
    Refused(StatusCode),
    /// There is more than may be fetched.
    #[error("the photo is too long")]
    TooLong,
}

/// Fetches at most `cap` bytes within `time`.
pub(super) async fn fetch(text: &str, cap: usize, time: Duration) -> Result<Bytes, FetchError> {
    let url = public_address::parse(text).map_err(|why| FetchError::Address(why.to_owned()))?;
    tokio::time::timeout(time, async {
        let client = pinned(&url).await?;
        download(&client, url, cap, time).await
    })
    .await
    .unwrap_or_else(|_| Err(FetchError::Unreachable(format!("no photo in {time:?}"))))
}

/// A client that connects to the addresses which were judged, and to no other.
async fn pinned(url: &Url) -> Result<Client, FetchError> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(443);
    let literal = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    let addresses: Vec<SocketAddr> = match literal {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| FetchError::Unreachable(error.to_string()))?
            .collect(),
    };
    if addresses.is_empty() {
        return Err(FetchError::Unreachable(
            "its name has no address".to_owned(),
        ));
    }
    if !addresses
        .iter()
        .all(|address| public_address::is_public(address.ip()))
    {
        return Err(FetchError::Address(
            "it is not on the public internet".to_owned(),
        ));
    }
    Client::builder()
        .user_agent(crate::USER_AGENT)
        .https_only(true)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .resolve_to_addrs(host, &addresses)
        .connect_timeout(Duration::from_secs(10))
        .build()
        .map_err(|error| FetchError::Unreachable(body::describe(error)))
}

async fn download(
    client: &Client,
    url: Url,
    cap: usize,
    time: Duration,
) -> Result<Bytes, FetchError> {
    let response = client
        .get(url)
        .send()
        .await
        .map_err(|error| FetchError::Unreachable(body::describe(error)))?;
    let status = response.status();
    if status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
    {
        return Err(FetchError::Unavailable(status));
    }
    if status != StatusCode::OK {
        return Err(FetchError::Refused(status));
    }
    body::read(response, cap, time)
        .await
        .map_err(|error| match error {
            BodyError::TooLong { .. } => FetchError::TooLong,
            _ => FetchError::Unreachable(error.to_string()),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_private_is_ever_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in [
            "127.0.0.1",
            "localhost",
            "localhost.",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ] {
            let url = format!("https://{host}:{port}/a.jpg");
            let error = fetch(&url, 1_000, Duration::from_secs(5))
                .await
                .unwrap_err();
            assert!(
                !matches!(error, FetchError::Unavailable(_) | FetchError::Refused(_)),
                "{host}: {error}"
            );
            assert!(
                matches!(error, FetchError::Address(_)) || host == "localhost.",
                "{host}: {error}"
            );
        }
        let connected = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(connected.is_err());
    }
}
