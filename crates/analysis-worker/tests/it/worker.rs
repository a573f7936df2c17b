//! A worker in this process.

use std::path::Path;

use analysis_worker::{
    RunError,
    config::{Config, Sources},
    shutdown::Shutdown,
};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};

use crate::hub::{Hub, PATIENCE, SECRET};

/// A running worker; it leaves at once when it is dropped.
pub(crate) struct Worker {
    pub(crate) shutdown: Shutdown,
    pub(crate) port: u16,
    running: JoinHandle<Result<(), RunError>>,
}

/// The environment of a worker of `hub`.
pub(crate) fn variables(hub: &Hub, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let url = format!("http://127.0.0.1:{}", hub.port);
    let base = [
        ("ZIRAAI_WEBAPI_URL", url.as_str()),
        ("ZIRAAI_INTERNAL_SECRET", SECRET),
        ("WebAPI__BreakerPause", "300ms"),
        ("WebAPI__TimeoutSeconds", "5"),
        ("Worker__Grace", "1"),
    ];
    more.iter().map(own).chain(base.iter().map(own)).collect()
}

impl Worker {
    /// Starts a worker of `hub`; `more` settings win over the test's own.
    pub(crate) async fn start(hub: &Hub, more: &[(&str, &str)]) -> Self {
        let config_dir = Path::new("/nonexistent").to_owned();
        let sources = Sources {
            config_dir,
            variables: variables(hub, more),
        };
        let config = Config::load_from(&sources).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shutdown = Shutdown::new();
        let running = tokio::spawn(analysis_worker::run(config, listener, shutdown.clone()));
        Self {
            shutdown,
            port,
            running,
        }
    }

    /// Waits until it has left by itself.
    pub(crate) async fn ended(mut self) -> Result<(), RunError> {
        let ended = timeout(PATIENCE, &mut self.running).await;
        ended.expect("the worker does not end").unwrap()
    }

    /// Asks it to leave and waits until it has.
    pub(crate) async fn leave(mut self) {
        self.shutdown.soft.cancel();
        let left = timeout(PATIENCE, &mut self.running).await;
        left.expect("the worker did not leave").unwrap().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.running.abort();
        self.shutdown.soft.cancel();
        self.shutdown.hard.cancel();
    }
}
