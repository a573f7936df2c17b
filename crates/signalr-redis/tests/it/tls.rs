//! `rediss://`: TLS before a real Redis.
//!
//! The certificate in `tests/tls` is for localhost and signs itself; its key
//! protects nothing.

use std::sync::Arc;

use private_services::Redis;
use signalr_redis::{LinkState, RedisLink};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::{client::PATIENCE, node::options};

const CERTIFICATE: &str = include_str!("../tls/certificate.pem");
const KEY: &str = include_str!("../tls/key.pem");

/// Ends TLS before the server at `port`; gives its own port.
async fn tls_before(port: u16) -> u16 {
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                let mut client = acceptor.accept(client).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    own
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named() {
    let port = tls_before(Redis::shared().await.port()).await;
    let mut options = options(&format!("rediss://localhost:{port}"));
    options.ca_certificate = Some(CERTIFICATE.to_owned());
    let link = RedisLink::open(options.clone()).unwrap();
    assert!(link.wait_until_up(PATIENCE).await, "{link:?}");
    assert_eq!(link.publish("channel", b"hello").await, Ok(0));

    options.ca_certificate = None;
    let link = RedisLink::open(options).unwrap();
    let mut state = link.state();
    let failed =
        state.wait_for(|state| matches!(state, LinkState::Down { attempts, .. } if *attempts > 1));
    timeout(PATIENCE, failed).await.unwrap().unwrap();
}
