//! The two clients on PyPI.

use crate::program;
use crate::proxy::Proxy;
use crate::server::Server;

async fn suite(file: &str, expected: usize) {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address, 1).await;
    let mut python = program::python(file);
    python
        .env("HUBS", format!("http://{}", proxy.address))
        .env("CUT_PORT", proxy.cut_port.to_string());
    program::run_tests(&mut python, expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signalrcore() {
    suite("signalrcore_suite.py", 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pysignalr() {
    suite("pysignalr_suite.py", 16).await;
}
